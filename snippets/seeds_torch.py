"""PyTorch: all modules share one generator; a seed or a saved state repeats what follows it."""

import io

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

ones = torch.ones(100, 200)
drop = nn.Dropout(0.5)  # takes no seed


class SeededDropout(nn.Module):  # draws from a generator of its own, as a layer of Keras does
    def __init__(self, rate, seed, device="cpu"):  # where its inputs are
        super().__init__()
        self.rate, self.generator = rate, torch.Generator(device).manual_seed(seed)

    def forward(self, x):
        if not self.training:
            return x
        kept = torch.empty_like(x).bernoulli_(1 - self.rate, generator=self.generator)
        return x * kept / (1 - self.rate)


def seeded(*draws):
    """The last of several draws behind a seed; the sequence around it goes on undisturbed."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return [draw() for draw in draws][-1]


def mask(module=drop):
    return module(ones) != 0


if __name__ == "__main__":
    first = seeded(mask)
    print("seeded again, the same mask:", torch.equal(first, seeded(mask)))
    #> seeded again, the same mask: True
    print("in the second call:", torch.equal(first, seeded(mask, mask)))
    #> in the second call: False
    print("behind another random number:", torch.equal(first, seeded(lambda: torch.rand(1), mask)))
    #> behind another random number: False
    new = [lambda: nn.Dropout(0.5), lambda: nn.Linear(8, 8).weight]
    print("a Dropout made first, the same weights:", torch.equal(seeded(new[1]), seeded(*new)))
    #> a Dropout made first, the same weights: True
    own, twin = SeededDropout(0.5, seed=1), SeededDropout(0.5, seed=1)
    masks = mask(own), mask(own.eval()), mask(own.train())  # inference draws nothing
    agree = torch.equal(masks[0], mask(twin)) and torch.equal(masks[2], mask(twin))
    print("SeededDropout, a twin repeats both masks:", agree)
    #> SeededDropout, a twin repeats both masks: True

    file = io.BytesIO()  # on a GPU also torch.cuda.get_rng_state_all()
    torch.save({"weights": drop.state_dict(), "state": torch.get_rng_state()}, file)
    ahead = mask()
    torch.set_rng_state(torch.load(io.BytesIO(file.getvalue()))["state"])
    print("resumed with the saved state, the same mask:", torch.equal(ahead, mask()))
    #> resumed with the saved state, the same mask: True
    print("what a Dropout's state_dict holds of it:", list(drop.state_dict()))
    #> what a Dropout's state_dict holds of it: []
    for keep in (True, False):
        x = ones.clone().requires_grad_()
        y = checkpoint(drop, x, use_reentrant=False, preserve_rng_state=keep)
        y.sum().backward()
        agree = torch.equal(y != 0, x.grad != 0)
        print(f"preserve_rng_state={keep}, backward pass has the mask of forward: {agree}")
        #> preserve_rng_state=True, backward pass has the mask of forward: True
        #> preserve_rng_state=False, backward pass has the mask of forward: False
