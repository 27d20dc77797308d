"""The mistake: leaving the mask out backwards, since the dropped activations are zero anyway."""

import numpy as np

from what_it_is_backward import forward, gradients

rng = np.random.default_rng(0)
x, y = rng.normal(size=(1, 20)), rng.normal(size=(1, 3))
first, second = rng.normal(size=(20, 8)) / 4, rng.normal(size=(8, 3))
mask = np.array([0, 2, 2, 0, 2, 0, 0, 2.0])  # four of eight units are dropped


def without_mask(x, y, first, second, mask):
    hidden, output, _ = forward(x, y, first, second, mask)
    d_hidden = (output - y) @ second.T  # no mask here
    return x.T @ (d_hidden * (1 - hidden**2)), (hidden * mask).T @ (output - y)


def measured(i, j, step=1e-6):
    """How the loss really changes with one weight of the first layer."""
    up, down = first.copy(), first.copy()
    up[i, j] += step
    down[i, j] -= step
    return (forward(x, y, up, second, mask)[2] - forward(x, y, down, second, mask)[2]) / (2 * step)


true = np.array([[measured(i, j) for j in range(8)] for i in range(20)])
wrong, right = without_mask(x, y, first, second, mask), gradients(x, y, first, second, mask)
print("with the mask, first layer right: ", np.allclose(right[0], true, atol=1e-6))
#> with the mask, first layer right:  True
print("without it, first layer right:    ", np.allclose(wrong[0], true, atol=1e-6))
#> without it, first layer right:     False
print("it moves weights of dropped units:", bool(np.abs(wrong[0][:, mask == 0]).min() > 0))
#> it moves weights of dropped units: True
print("second layer right all the same:  ", np.allclose(wrong[1], right[1]))
#> second layer right all the same:   True
