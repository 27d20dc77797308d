"""What L2 and weight decay do to the units that Dropout drops: one step on one example."""

import keras
import numpy as np

numpy = keras.ops.convert_to_numpy


def step(optimizer, l2=0.0):
    """The weights that lead to dropped units, before and after it, and which units those are."""
    penalty = keras.regularizers.L2(l2) if l2 else None
    hidden = keras.layers.Dense(1000, kernel_regularizer=penalty)
    drop, out = keras.layers.Dropout(0.5), keras.layers.Dense(1)
    model = keras.Sequential([keras.Input((20,)), hidden, drop, out])
    model.compile(optimizer, "mse")
    before = numpy(hidden.kernel).copy()
    x = np.random.default_rng(0).normal(size=(1, 20)).astype("float32")
    model.train_on_batch(x, np.ones((1, 1), "float32"))
    dropped = numpy(hidden.bias) == 0  # without a gradient, a bias stays at zero
    return before[:, dropped], numpy(hidden.kernel)[:, dropped], dropped


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    for name, optimizer, l2 in (
        ("no penalty", keras.optimizers.SGD(0.1), 0),
        ("L2 with SGD", keras.optimizers.SGD(0.1), 0.1),
        ("AdamW", keras.optimizers.AdamW(0.1, weight_decay=0.2), 0),
    ):
        before, after, dropped = step(optimizer, l2)
        factor = np.median(after / before)
        print(f"{name:11} dropped: {dropped.mean():.1f}, their weights: times {factor:.3f}")
        #> no penalty  dropped: 0.5, their weights: times 1.000
        #> L2 with SGD dropped: 0.5, their weights: times 0.980
        #> AdamW       dropped: 0.5, their weights: times 0.980

    for l2 in (0.1, 0.01):  # with Adam the strength of the penalty cancels out at first
        before, after, _ = step(keras.optimizers.Adam(0.01), l2)
        print(f"Adam with L2({l2}): each moves by {np.median(np.abs(after - before)):.3f}")
        #> Adam with L2(0.1): each moves by 0.010
        #> Adam with L2(0.01): each moves by 0.010
