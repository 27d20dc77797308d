"""Where dropout goes in a CNN: strong in the dense head, weak behind each pooling."""

import keras
import numpy as np
from keras import layers


def cnn(conv_rate=0.2, head_rate=0.5):
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Dropout(conv_rate),  # behind the pooling, never in front of it
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Dropout(conv_rate),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(head_rate),
            layers.Dense(10),
        ]
    )


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    model = cnn()
    drops = [layer for layer in model.layers if isinstance(layer, layers.Dropout)]
    probe = keras.Model(model.inputs, [tensor for d in drops for tensor in (d.input, d.output)])
    images = np.random.default_rng(0).random((500, 28, 28, 1), dtype="float32")
    tensors = [keras.ops.convert_to_numpy(t) for t in probe(images, training=True)]
    for before, after in zip(tensors[::2], tensors[1::2], strict=True):
        print(f"{before.shape[1:]!s:>12}: drops {np.mean(after[before > 0] == 0):.1f}")
        #> (14, 14, 32): drops 0.2
        #>   (7, 7, 64): drops 0.2
        #>       (128,): drops 0.5
