"""The mistakes: the sum dropped instead of the branch, and ordinary Dropout in DropPath's place."""

import keras
import numpy as np
from keras import layers

from stochastic_depth import DropPath


def stack(step, blocks=12):
    """Residual blocks whose branches put out zeros: the identity path is alone."""
    x = inputs = keras.Input((64,))
    for _ in range(blocks):
        x = step(x, layers.Dense(64, kernel_initializer="zeros")(x))
    return keras.Model(inputs, x)


def on_the_branch(x, y):
    return layers.Add()([x, DropPath(0.2)(y)])


def on_the_sum(x, y):
    return DropPath(0.2)(layers.Add()([x, y]))


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    ones = np.ones((10_000, 64), "float32")
    for step in (on_the_branch, on_the_sum):
        y = keras.ops.convert_to_numpy(stack(step)(ones, training=True))
        left = (y != 0).any(axis=1).mean()
        print(f"DropPath {step.__name__:14} examples that are left after 12 blocks: {left:.2f}")
        #> DropPath on_the_branch  examples that are left after 12 blocks: 1.00
        #> DropPath on_the_sum     examples that are left after 12 blocks: 0.07
    for layer in (DropPath(0.2), layers.Dropout(0.2)):
        out = keras.ops.convert_to_numpy(layer(ones, training=True)) == 0
        whole = out.all(axis=1).mean()
        print(f"{type(layer).__name__:8} values {out.mean():.2f}, whole branches {whole:.2f}")
        #> DropPath values 0.20, whole branches 0.20
        #> Dropout  values 0.20, whole branches 0.00
