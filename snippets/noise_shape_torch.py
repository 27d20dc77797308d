"""PyTorch: Dropout1d to 3d drop whole channels; a mask made of ones has any other shape."""

import torch
from torch import nn
from torch.nn import functional as F


def dropout(x, rate, shape, training=True):
    """What noise_shape does: a 1 shares one draw, None stands for the input's own size."""
    sizes = [size or full for size, full in zip(shape, x.shape, strict=True)]
    return x * F.dropout(x.new_ones(sizes), rate, training)


def shared(y, axes):
    """The axes along which all values are dropped together."""
    zero = y == 0
    return [a for i, a in enumerate(axes) if (zero == zero.narrow(i, 0, 1)).all()]


SHAPES = ((None, 1, None), (None, None, 1), (None, 1, 1), (1, None, None))
MODULES = (
    (nn.Dropout1d(0.5), "batch channels steps"),
    (nn.Dropout1d(0.5), "batch steps features"),  # Keras' order
    (nn.Dropout1d(0.5), "batch features"),  # taken for (channels, steps)
    (nn.Dropout2d(0.5), "batch channels height width"),
    (nn.Dropout3d(0.5), "batch channels depth height width"),
    (nn.Dropout3d(0.5), "channels depth height width"),
)

if __name__ == "__main__":
    torch.manual_seed(0)
    x = torch.ones(64, 10, 16)
    for shape in SHAPES:
        same = shared(dropout(x, 0.5, shape), ("batch", "steps", "features"))
        print(f"{shape!s:15} one draw for all {', '.join(same)}")
        #> (None, 1, None) one draw for all steps
        #> (None, None, 1) one draw for all features
        #> (None, 1, 1)    one draw for all steps, features
        #> (1, None, None) one draw for all batch
    for module, layout in MODULES:
        axes = layout.split()
        same = shared(module(torch.ones([16] * len(axes))), axes)
        print(f"{type(module).__name__} on {layout:33}  one draw for all {', '.join(same)}")
        #> Dropout1d on batch channels steps               one draw for all steps
        #> Dropout1d on batch steps features               one draw for all features
        #> Dropout1d on batch features                     one draw for all features
        #> Dropout2d on batch channels height width        one draw for all height, width
        #> Dropout3d on batch channels depth height width  one draw for all depth, height, width
        #> Dropout3d on channels depth height width        one draw for all depth, height, width
    both = torch.stack([x[:, 0], x[:, 1]], dim=1)  # two branches, `(batch, 2, features)`
    first, second = dropout(both, 0.5, (None, 1, None)).unbind(1)
    print("two branches with one mask agree:", torch.equal(first == 0, second == 0))
    #> two branches with one mask agree: True
