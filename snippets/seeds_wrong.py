"""The mistakes: NumPy's seed for reproducible dropout, and the same seed in every Dropout layer."""

import keras
import numpy as np
from keras import layers

ones = np.ones((100, 200), "float32")


def mask(layer):
    return keras.ops.convert_to_numpy(layer(ones, training=True)) != 0


runs = []
for _ in range(2):
    np.random.seed(0)
    runs.append(mask(layers.Dropout(0.5)))
print(f"np.random.seed, two runs agree on {np.mean(runs[0] == runs[1]):.1f} of the units")
#> np.random.seed, two runs agree on 0.5 of the units

# two layers of one network that drop the same units
first, second = layers.Dropout(0.5, seed=42), layers.Dropout(0.5, seed=42)
print("seed=42 in both, they always agree:", bool((mask(first) == mask(second)).all()))
#> seed=42 in both, they always agree: True
first, second = layers.Dropout(0.5), layers.Dropout(0.5)
print(f"without seeds, they agree on {np.mean(mask(first) == mask(second)):.1f} of the units")
#> without seeds, they agree on 0.5 of the units
