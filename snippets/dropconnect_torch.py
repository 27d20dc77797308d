"""PyTorch: a parametrization drops the weights of any module; vmap gives each example a mask."""

import torch
from torch import nn
from torch.func import functional_call, vmap
from torch.nn import functional as F
from torch.nn.utils import parametrize


class DropWeight(nn.Module):
    """One mask at each look at the weight in training; eval() of the module around reaches it."""

    def __init__(self, rate):
        super().__init__()
        self.rate = rate

    def forward(self, weight):
        return F.dropout(weight, self.rate, self.training)


def agree(call):
    return torch.equal(call(), call())


if __name__ == "__main__":
    torch.manual_seed(0)
    dense = nn.Linear(100, 2)
    nn.init.ones_(dense.weight), nn.init.ones_(dense.bias)  # two units with equal weights
    for name in ("weight", "bias"):
        parametrize.register_parametrization(dense, name, DropWeight(0.2))
    print("weights in training:", *[f"{value:.2f}" for value in dense.weight.unique()])
    #> weights in training: 0.00 1.25
    x = torch.randn(1, 100).repeat(2, 1)  # two equal examples
    own = vmap(dense, randomness="different")
    for name, layer in {"one mask for the batch": dense, "one for each example": own}.items():
        y = layer(x)
        units, examples = torch.allclose(y[:, 0], y[:, 1]), torch.allclose(y[0], y[1])
        print(f"{name:22} equal units agree: {units}, equal examples: {examples}")
        #> one mask for the batch equal units agree: False, equal examples: True
        #> one for each example   equal units agree: False, equal examples: False
    print("two looks at the weight agree:", agree(lambda: dense.weight))
    #> two looks at the weight agree: False
    with parametrize.cached():
        print("inside parametrize.cached():", agree(lambda: dense.weight))
        #> inside parametrize.cached(): True
    sums = x.sum(1, keepdim=True) + 1
    print("after eval() that of a plain Linear:", torch.allclose(dense.eval()(x), sums, atol=1e-4))
    #> after eval() that of a plain Linear: True
    print("saved as", *dense.state_dict())
    #> saved as parametrizations.weight.original parametrizations.bias.original
    parametrize.remove_parametrizations(dense.train(), "weight")  # in training it keeps a mask
    print("removed, zeros in the weight:", bool((dense.weight == 0).any()))
    #> removed, zeros in the weight: True

    words, lstm = torch.randn(4, 10, 8), nn.LSTM(8, 16, batch_first=True)
    plain = lstm(words)[0]  # `(batch, steps, features)`
    masked = {"weight_hh_l0": F.dropout(lstm.weight_hh_l0, 0.5)}  # its own default is training
    once = functional_call(lstm.eval(), masked, words)[0]
    print("functional_call drops after eval() too:", not torch.equal(once, plain))
    #> functional_call drops after eval() too: True
    parametrize.register_parametrization(lstm.train(), "weight_hh_l0", DropWeight(0.5))
    for step in (0, 9):  # in step 0 there is no state yet
        same = agree(lambda at=step: lstm(words)[0][:, at])
        print(f"LSTM in training, step {step} of two calls agrees: {same}")
        #> LSTM in training, step 0 of two calls agrees: True
        #> LSTM in training, step 9 of two calls agrees: False
    print("after eval() that of a plain LSTM:", torch.allclose(lstm.eval()(words)[0], plain))
    #> after eval() that of a plain LSTM: True
