"""In PyTorch each Dropout module has a mode, and a call of F.dropout has none to look at."""

import torch
from torch import nn
from torch.nn import functional as F


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.drop = nn.Linear(20, 20), nn.Dropout(0.5)

    def forward(self, x):
        x = self.drop(self.linear(x))
        return F.dropout(x, 0.5)  # needs training=self.training


def modes(model):
    """{name: is it on?} of the Dropout modules."""
    kind = nn.modules.dropout._DropoutNd
    found = ((name, m) for name, m in model.named_modules() if isinstance(m, kind))
    return {name: m.training and m.p > 0 for name, m in found}


if __name__ == "__main__":
    model, x = Network(), torch.ones(4, 20)
    print("a new model:", modes(model))
    #> a new model: {'drop': True}
    model.eval()
    print("after eval():", modes(model))
    #> after eval(): {'drop': False}
    print("two passes differ:", not torch.equal(model(x), model(x)))
    #> two passes differ: True
    print("gradients are computed in eval mode:", model(x).requires_grad)
    #> gradients are computed in eval mode: True
