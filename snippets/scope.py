"""Which layers does a Dropout layer touch? Compare every layer's output with dropout off and on."""

import keras
import numpy as np


def network(rate=0.5):
    return keras.Sequential(
        [
            keras.Input((28, 28)),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(128, activation="relu", name="dense_128"),
            keras.layers.Dropout(rate, name="dropout"),  # masks the 128 outputs above
            keras.layers.Dense(64, activation="relu", name="dense_64"),
            keras.layers.Dense(10, activation="softmax", name="dense_10"),
        ]
    )


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    model = network()
    probe = keras.Model(model.inputs[0], [layer.output for layer in model.layers])
    images = np.random.default_rng(0).random((1000, 28, 28), dtype="float32")
    off = [keras.ops.convert_to_numpy(out) for out in probe(images, training=False)]
    on = [keras.ops.convert_to_numpy(out) for out in probe(images, training=True)]

    for layer, a, b in zip(model.layers, off, on, strict=True):
        changed = str(not np.array_equal(a, b))
        print(f"{layer.name:10} changed: {changed:6} parameters: {layer.count_params()}")
        #> flatten    changed: False  parameters: 0
        #> dense_128  changed: False  parameters: 100480
        #> dropout    changed: True   parameters: 0
        #> dense_64   changed: True   parameters: 8256
        #> dense_10   changed: True   parameters: 650

    masked = on[2][off[1] > 0] == 0  # units that were active before the Dropout
    print(f"share of the 128 set to zero: {masked.mean():.2f}")
    #> share of the 128 set to zero: 0.50

    # every other layer still computes its own function, with all its units
    again = keras.ops.convert_to_numpy(model.get_layer("dense_64")(on[2]))
    print("dense_64 drops none of its own units:", np.allclose(again, on[3], atol=1e-6))
    #> dense_64 drops none of its own units: True
