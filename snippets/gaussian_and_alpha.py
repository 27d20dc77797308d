"""Dropout and its relatives: the mean, the spread and the zeros that each leaves behind."""

import keras
import numpy as np
from keras import layers

LAYERS = {
    "Dropout(0.2)": layers.Dropout(0.2),
    "GaussianDropout(0.2)": layers.GaussianDropout(0.2),
    "GaussianNoise(0.5)": layers.GaussianNoise(0.5),
    "AlphaDropout(0.2)": layers.AlphaDropout(0.2),
}


def deep(drop, depth=8, width=256):
    """Layers of SELU units, each with a dropout behind it."""
    made = [keras.Input((width,))]
    for _ in range(depth):
        made.append(layers.Dense(width, activation="selu", kernel_initializer="lecun_normal"))
        made.append(drop())
    return keras.Sequential(made)


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    print("on ones: mean, deviation, share of zeros, share below zero")
    #> on ones: mean, deviation, share of zeros, share below zero
    ones = np.ones((1000, 1000), "float32")
    for name, layer in LAYERS.items():
        out = keras.ops.convert_to_numpy(layer(ones, training=True))
        numbers = out.mean(), out.std(), (out == 0).mean(), (out < 0).mean()
        print(f"{name:22}" + "  ".join(f"{number:.1f}" for number in numbers))
        #> Dropout(0.2)          1.0  0.5  0.2  0.0
        #> GaussianDropout(0.2)  1.0  0.5  0.0  0.0
        #> GaussianNoise(0.5)    1.0  0.5  0.0  0.0
        #> AlphaDropout(0.2)     0.7  1.0  0.0  0.2

    # eight SELU layers: what they keep of a mean of 0 and a deviation of 1
    x = np.random.default_rng(0).normal(size=(4000, 256)).astype("float32")
    kinds = {"AlphaDropout": layers.AlphaDropout, "Dropout": layers.Dropout}
    for name, kind in kinds.items():
        out = keras.ops.convert_to_numpy(deep(lambda kind=kind: kind(0.5))(x, training=True))
        kept = abs(out.mean()) < 0.1 and abs(out.std() - 1) < 0.1
        print(f"behind 8 SELU layers with {name}(0.5), mean and deviation kept: {kept}")
        #> behind 8 SELU layers with AlphaDropout(0.5), mean and deviation kept: True
        #> behind 8 SELU layers with Dropout(0.5), mean and deviation kept: False
