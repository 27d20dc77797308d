"""Dropout as the first layer: it masks the input itself, in training only."""

import keras
import numpy as np
from sklearn.datasets import load_digits

keras.utils.set_random_seed(0)
digits = (load_digits().images / 16).astype("float32")  # `(1797, 8, 8)`, 0 to 1

model = keras.Sequential(
    [
        keras.Input((8, 8)),
        keras.layers.Dropout(0.2),  # keeps 0.8 of the pixels, scaled by 1 / 0.8
        keras.layers.Flatten(),
        keras.layers.Dense(128, activation="relu"),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
first = model.layers[0]
masked = keras.ops.convert_to_numpy(first(digits, training=True))
ink = digits > 0

print(f"pixels lost in training: {np.mean(masked[ink] == 0):.2f}")
#> pixels lost in training: 0.20
print(f"the others are scaled by: {np.mean(masked[masked > 0] / digits[masked > 0]):.2f}")
#> the others are scaled by: 1.25
print("input changed at inference:", not np.array_equal(first(digits), digits))
#> input changed at inference: False
print("every image loses other pixels:", not np.array_equal(masked[0] == 0, masked[1] == 0))
#> every image loses other pixels: True
