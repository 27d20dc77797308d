"""PyTorch: the same places, channels first; Dropout2d drops whole maps of `(N, C, H, W)` alone."""

import warnings

import torch
from torch import nn


def stage(inputs, outputs, rate):
    conv = nn.Conv2d(inputs, outputs, 3, padding=1)
    return [conv, nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(rate)]  # behind the pooling


def cnn(conv_rate=0.2, head_rate=0.5):
    dense = [nn.Flatten(), nn.Linear(64 * 7 * 7, 128), nn.ReLU(), nn.Dropout(head_rate)]
    maps = stage(1, 32, conv_rate) + stage(32, 64, conv_rate)
    return nn.Sequential(*maps, *dense, nn.Linear(128, 10))


def share(module, inputs, output):
    dropped = (output == 0)[inputs[0] > 0].float().mean()
    print(f"{tuple(output.shape[1:])!s:>12}: drops {dropped:.1f}")
    #> (32, 14, 14): drops 0.2
    #>   (64, 7, 7): drops 0.2
    #>       (128,): drops 0.5


def look(module, **sizes):
    """Which axes share a draw, and does the module warn of its input?"""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        zero = module(torch.ones(tuple(sizes.values()))) == 0
    same = [name for i, name in enumerate(sizes) if (zero == zero.narrow(i, 0, 1)).all()]
    shape = f"({', '.join(sizes)})"
    print(f"{shape:12}  one draw for all {', '.join(same) or '-':4}  warns: {bool(caught)}")
    #> (N, C, H, W)  one draw for all H, W  warns: False
    #> (N, H, W, C)  one draw for all W, C  warns: False
    #> (C, H, W)     one draw for all W     warns: True
    #> (N, F)        one draw for all -     warns: True
    #> (N, C, L)     one draw for all L     warns: False


if __name__ == "__main__":
    torch.manual_seed(0)
    model = cnn()
    for module in model:
        if isinstance(module, nn.Dropout):
            module.register_forward_hook(share)
    model(torch.rand(500, 1, 28, 28))

    drop = nn.Dropout2d(0.5)
    look(drop, N=20, C=21, H=22, W=23)  # whole maps
    look(drop, N=20, H=22, W=23, C=21)  # Keras' order: rows of pixels
    look(drop, C=21, H=22, W=23)  # one picture: rows of each map
    look(drop, N=20, F=500)  # behind Flatten: single values
    look(nn.Dropout1d(0.5), N=20, C=21, L=22)  # whole maps of a sequence
