"""Dropout before or after an activation or a pooling: does the order change what training sees?"""

import keras
import numpy as np


def both_orders(layer, x, rate, seed=0):
    """What training sees with Dropout in front of `layer`, and with Dropout behind it."""
    front = layer(keras.layers.Dropout(rate, seed=seed)(x, training=True))
    behind = keras.layers.Dropout(rate, seed=seed)(layer(x), training=True)
    return keras.ops.convert_to_numpy(front), keras.ops.convert_to_numpy(behind)


if __name__ == "__main__":
    x = np.random.default_rng(0).normal(size=(1000, 500)).astype("float32")
    for name in ("relu", "leaky_relu", "linear", "tanh", "sigmoid", "gelu", "elu"):
        # equal shapes and equal seeds: the same mask in both orders
        front, behind = both_orders(keras.layers.Activation(name), x, rate=0.5)
        print(f"{name:10} same in both orders: {np.array_equal(front, behind)}")
        #> relu       same in both orders: True
        #> leaky_relu same in both orders: True
        #> linear     same in both orders: True
        #> tanh       same in both orders: False
        #> sigmoid    same in both orders: False
        #> gelu       same in both orders: False
        #> elu        same in both orders: False

    maps = np.ones((100, 64, 64, 8), dtype="float32")
    for pool in (keras.layers.MaxPooling2D(2), keras.layers.AveragePooling2D(2)):
        front, behind = both_orders(pool, maps, rate=0.5)
        print(
            f"{type(pool).__name__:16} mean in front {front.mean():.1f}, behind {behind.mean():.1f}"
        )
        #> MaxPooling2D     mean in front 1.9, behind 1.0
        #> AveragePooling2D mean in front 1.0, behind 1.0
