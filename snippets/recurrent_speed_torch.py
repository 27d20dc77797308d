"""PyTorch: one call of nn.LSTM does all steps, also with `dropout`; a recurrent mask is a loop."""

import collections

import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


class RecurrentDropoutLSTM(nn.Module):
    """One mask on the state, for all steps of a sequence and all gates."""

    def __init__(self, inputs, units, rate):
        super().__init__()
        self.cell, self.rate = nn.LSTMCell(inputs, units), rate

    def forward(self, x):  # `(batch, steps, inputs)`
        h = c = x.new_zeros(len(x), self.cell.hidden_size)
        mask = F.dropout(torch.ones_like(h), self.rate, self.training)
        outputs = []
        for step in x.unbind(1):
            h, c = self.cell(step, (h * mask, c))
            outputs.append(h)
        return torch.stack(outputs, 1)


class Calls(TorchFunctionMode):
    """Counts the calls of each function of PyTorch."""

    def __init__(self):
        super().__init__()
        self.counts = collections.Counter()

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.counts[function.__name__] += 1
        return function(*args, **(kwargs or {}))


if __name__ == "__main__":
    torch.manual_seed(0)
    x = torch.randn(100, 50, 16)
    fused = nn.LSTM(16, 32, num_layers=2, dropout=0.5, batch_first=True)  # between its layers
    loop = RecurrentDropoutLSTM(16, 32, rate=0.5)
    for name, module in {"nn.LSTM, dropout=0.5": fused, "a loop": loop}.items():
        with Calls() as calls:
            module(x)
        made = ", ".join(f"{n} {calls.counts[n]}" for n in ("lstm", "lstm_cell", "dropout"))
        print(f"{name:22}calls in 50 steps: {made}")
        #> nn.LSTM, dropout=0.5  calls in 50 steps: lstm 1, lstm_cell 0, dropout 0
        #> a loop                calls in 50 steps: lstm 0, lstm_cell 50, dropout 1

    dropped = []
    loop.cell.register_forward_pre_hook(lambda cell, inputs: dropped.append(inputs[1][0] == 0))
    loop(x)
    same = all(torch.equal(mask, dropped[1]) for mask in dropped[1:])  # the first state is zero
    print(f"dropped of the state: {dropped[1].float().mean():.1f}, same units at all steps: {same}")
    #> dropped of the state: 0.5, same units at all steps: True
    one = nn.LSTM(16, 32, batch_first=True)  # for inference, with the weights of the loop
    one.load_state_dict({f"{name}_l0": w for name, w in loop.cell.state_dict().items()})
    close = torch.allclose(one(x)[0], loop.eval()(x), atol=1e-5)
    print("at inference nn.LSTM with its weights agrees:", close)
    #> at inference nn.LSTM with its weights agrees: True
