"""Stochastic depth: in training each example skips some residual branches, deep ones oftener."""

import keras
import numpy as np
from keras import layers


class DropPath(layers.Dropout):
    """Dropout of all that it gets for an example, `(batch, …)`: everything or nothing.

    What stays is multiplied by 1/(1 − rate). With `per_batch` one draw serves the whole batch.
    """

    def __init__(self, rate, per_batch=False, **options):
        super().__init__(rate, **options)
        self.per_batch = per_batch

    def build(self, shape):
        self.noise_shape = (1 if self.per_batch else None, *[1] * (len(shape) - 1))
        super().build(shape)

    def get_config(self):
        return super().get_config() | {"per_batch": self.per_batch}


def survival(blocks, last=0.5):
    """The share of examples that keep each branch: falls linearly to `last`."""
    return 1 - np.arange(1, blocks + 1) / blocks * (1 - last)


def network(width, blocks, last=0.5):
    x = inputs = keras.Input((width,))
    for kept in survival(blocks, last):
        y = layers.Dense(width)(layers.LayerNormalization()(x))
        x = layers.Add()([x, DropPath(1 - kept)(y)])  # on the branch, in front of the addition
    return keras.Model(inputs, x)


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    model = network(width=8, blocks=12)
    branches = [layer.output for layer in model.layers if isinstance(layer, DropPath)]
    x = np.random.default_rng(0).normal(size=(40_000, 8)).astype("float32")
    outputs = keras.Model(model.inputs, branches)(x, training=True)
    out = np.stack([keras.ops.convert_to_numpy(y) == 0 for y in outputs])
    print("all or nothing:", bool((out.all(axis=2) == out.any(axis=2)).all()))
    #> all or nothing: True
    for block in (1, 6, 12):
        print(f"block {block:2} left out for a share of {out[block - 1].mean():.2f}")
        #> block  1 left out for a share of 0.04
        #> block  6 left out for a share of 0.25
        #> block 12 left out for a share of 0.50
    print(f"blocks that an example passes, of 12: {12 * (1 - out.mean()):.1f} on average")
    #> blocks that an example passes, of 12: 8.7 on average
    shared = DropPath(0.5, per_batch=True)
    same = keras.ops.convert_to_numpy(shared(x, training=True) == 0)
    print("with per_batch, all examples agree:", bool(same.all() or not same.any()))
    #> with per_batch, all examples agree: True
    print("its settings are saved:", DropPath.from_config(shared.get_config()).per_batch)
    #> its settings are saved: True
