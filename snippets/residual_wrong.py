"""The mistake: dropout after the addition drops the identity path with the sub-layer."""

import keras
import numpy as np
from keras import layers


def after_the_addition(x, y, rate):
    return layers.Dropout(rate)(layers.Add()([x, y]))


def before_the_addition(x, y, rate):
    return layers.Add()([x, layers.Dropout(rate)(y)])


def stack(step, additions=12, rate=0.1):
    """Residual additions whose sub-layers put out zeros: the identity path is alone."""
    x = stream = keras.Input((64,))
    for _ in range(additions):
        x = step(x, layers.Dense(64, kernel_initializer="zeros")(x), rate)
    return keras.Model(stream, x)


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    ones = np.ones((10_000, 64), "float32")
    for step in (before_the_addition, after_the_addition):
        y = keras.ops.convert_to_numpy(stack(step)(ones, training=True))
        print(f"{step.__name__:20} 12 additions leave {np.mean(y != 0):.2f}, scale {y.max():.2f}")
        #> before_the_addition  12 additions leave 1.00, scale 1.00
        #> after_the_addition   12 additions leave 0.28, scale 3.54
