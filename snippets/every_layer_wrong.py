"""The mistake: appending Dropout to the end of a finished model, behind its softmax."""

import keras
import numpy as np

keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input((28, 28)),
        keras.layers.Flatten(),
        keras.layers.Dense(128, activation="relu"),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
model.add(keras.layers.Dropout(0.5))  # drops class probabilities, not hidden units

images = np.random.default_rng(0).random((20_000, 28, 28), dtype="float32")
labels = np.random.default_rng(1).integers(0, 10, 20_000)
output = keras.ops.convert_to_numpy(model(images, training=True))
true_class = output[np.arange(20_000), labels]

print(f"true class erased: {np.mean(true_class == 0):.1f}")
#> true class erased: 0.5
print(f"rows that still sum to 1: {np.mean(np.isclose(output.sum(axis=1), 1)):.2f}")
#> rows that still sum to 1: 0.00
loss = keras.ops.convert_to_numpy(keras.losses.sparse_categorical_crossentropy(labels, output))
print(f"losses above 10: {np.mean(loss > 10):.1f}")
#> losses above 10: 0.5
