"""Two mistakes: a `training=True` that `predict` overrides, and one that switches on too much."""

import keras
import numpy as np

keras.utils.set_random_seed(0)
x = np.random.default_rng(0).normal(3, 1, (200, 20)).astype("float32")
inputs = keras.Input((20,))
norm = keras.layers.BatchNormalization()
hidden = norm(keras.layers.Dense(64)(inputs))
outputs = keras.layers.Dense(1)(keras.layers.Dropout(0.5)(hidden, training=True))
model = keras.Model(inputs, outputs)

# in Keras 3.0 to 3.15 `predict` calls the model with training=False, and that value wins
samples = np.stack([model.predict(x, verbose=0) for _ in range(20)])
spread = samples.std(axis=0).max()
print(f"predict, spread over 20 passes: {spread:.2f}")
#> predict, spread over 20 passes: 0.00

# this drops, and BatchNormalization believes that it is being trained
before = keras.ops.convert_to_numpy(norm.moving_mean).copy()
samples = np.stack([keras.ops.convert_to_numpy(model(x, training=True)) for _ in range(20)])
after = keras.ops.convert_to_numpy(norm.moving_mean)
print("model(x, training=True), spread above 0:", bool(samples.std(axis=0).min() > 0))
#> model(x, training=True), spread above 0: True
print("and the statistics of BatchNormalization moved:", not np.array_equal(before, after))
#> and the statistics of BatchNormalization moved: True
