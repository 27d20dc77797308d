"""Freezing in PyTorch stops neither Dropout nor BatchNorm, and `train()` undoes `base.eval()`."""

import torch
from torch import nn


class AtInference(nn.Module):
    """A module that stays in evaluation mode, whatever mode the model around it is set to."""

    def __init__(self, module):
        super().__init__()
        self.module = module.eval()

    def train(self, mode=True):
        super().train(mode)
        self.module.eval()
        return self

    def forward(self, x):
        return self.module(x)


def base():
    """A frozen base: its parameters take no gradients."""
    made = nn.Sequential(nn.Linear(100, 100), nn.BatchNorm1d(100), nn.Dropout(0.5))
    return made.requires_grad_(False)


def look(base):
    """What share does the base drop in training, and do its statistics move?"""
    model = nn.Sequential(base, nn.Linear(100, 1))
    model.train()  # as at the start of each epoch
    norm = next(m for m in model.modules() if isinstance(m, nn.BatchNorm1d))
    before = norm.running_mean.clone()
    share = (base(torch.randn(1000, 100)) == 0).float().mean().item()
    return share, not torch.equal(before, norm.running_mean)


if __name__ == "__main__":
    torch.manual_seed(0)
    bases = {"frozen": base(), "frozen, eval()": base().eval(), "AtInference": AtInference(base())}
    for name, made in bases.items():
        share, statistics = look(made)
        print(f"{name:15} dropped: {share:.2f}  statistics move: {statistics}")
        #> frozen          dropped: 0.50  statistics move: True
        #> frozen, eval()  dropped: 0.50  statistics move: True
        #> AtInference     dropped: 0.00  statistics move: False
