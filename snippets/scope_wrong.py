"""The mistake: one Dropout in front of the output, meant for the whole network."""

import keras
import numpy as np

keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input((28, 28)),
        keras.layers.Flatten(),
        keras.layers.Dense(128, activation="relu"),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dropout(0.5),  # masks these 64 outputs; the 128 are never masked
        keras.layers.Dense(10, activation="softmax"),
    ]
)
images = np.random.default_rng(0).random((1000, 28, 28), dtype="float32")
probe = keras.Model(model.inputs[0], [layer.output for layer in model.layers])
off, on = probe(images, training=False), probe(images, training=True)

for layer, a, b in zip(model.layers, off, on, strict=True):
    a, b = keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b)
    print(f"{layer.name:10} units set to zero: {np.mean(b[a > 0] == 0):.2f}")
    #> flatten    units set to zero: 0.00
    #> dense      units set to zero: 0.00
    #> dense_1    units set to zero: 0.00
    #> dropout    units set to zero: 0.50
    #> dense_2    units set to zero: 0.00
