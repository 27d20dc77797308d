"""In PyTorch: the model in eval mode, and what drops in training mode."""

import torch
from torch import nn

DROPPING = (
    nn.modules.dropout._DropoutNd,  # Dropout, Dropout1d to 3d, Alpha
    nn.MultiheadAttention,  # these two drop by a rate of their own
    nn.RNNBase,
    nn.TransformerEncoderLayer,  # in eval mode it may skip its Dropout modules
)


def only_dropout(model):
    """Switch a model to inference, and what drops in it back on."""
    model.eval()
    for module in model.modules():
        if isinstance(module, DROPPING):
            module.train()
    return model


if __name__ == "__main__":
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 64), nn.BatchNorm1d(64), nn.Dropout(0.5), nn.Linear(64, 1))
    x = torch.randn(200, 20) + 3
    norm = model[1]
    for switch in (nn.Module.eval, nn.Module.train, only_dropout):
        before = norm.running_mean.clone()
        switch(model)
        with torch.no_grad():  # no mode switches gradients off
            differ = not torch.equal(model(x), model(x))
        moved = not torch.equal(before, norm.running_mean)
        print(f"{switch.__name__:12} passes differ: {differ!s:5} statistics move: {moved}")
        #> eval         passes differ: False statistics move: False
        #> train        passes differ: True  statistics move: True
        #> only_dropout passes differ: True  statistics move: False
