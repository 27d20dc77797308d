"""The mistake: reading the rate as the share to keep, as `keep_prob` was in TensorFlow 1."""

import keras
import numpy as np

keras.utils.set_random_seed(0)
keep_prob = 0.8  # from an old recipe: keep most of the units
units = np.ones((1, 100_000), dtype="float32")

wrong = keras.layers.Dropout(keep_prob)(units, training=True)
right = keras.layers.Dropout(1 - keep_prob)(units, training=True)
print(f"Dropout(keep_prob) keeps     {np.mean(keras.ops.convert_to_numpy(wrong) != 0):.2f}")
#> Dropout(keep_prob) keeps     0.20
print(f"Dropout(1 - keep_prob) keeps {np.mean(keras.ops.convert_to_numpy(right) != 0):.2f}")
#> Dropout(1 - keep_prob) keeps 0.80
