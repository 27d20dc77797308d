"""A generator in the manner of pix2pix: which calls give noise, and what happens to its norm."""

import keras
import numpy as np

from mc_dropout import always_on

layers = keras.layers


def generator():
    """From an image to an image, 16×16; the only noise in it is dropout."""
    image = keras.Input((16, 16, 1))
    down = layers.Conv2D(8, 4, strides=2, padding="same", activation="relu")(image)
    up = layers.Conv2DTranspose(8, 4, strides=2, padding="same", use_bias=False)(down)
    up = layers.BatchNormalization(name="norm")(up)
    up = layers.Dropout(0.5)(up)
    both = layers.Concatenate()([layers.ReLU()(up), image])
    return keras.Model(image, layers.Conv2D(1, 3, padding="same")(both))


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    model, noisy = generator(), always_on(generator())
    image = np.random.default_rng(0).random((1, 16, 16, 1), dtype="float32")
    ways = {
        "predict": (model, lambda: model.predict(image, verbose=0)),
        "training=True": (model, lambda: model(image, training=True)),
        "always_on, predict": (noisy, lambda: noisy.predict(image, verbose=0)),
    }
    for name, (used, generate) in ways.items():
        norm = used.get_layer("norm")
        before = keras.ops.convert_to_numpy(norm.moving_mean).copy()
        a, b = (keras.ops.convert_to_numpy(generate()) for _ in range(2))
        moved = not np.array_equal(before, keras.ops.convert_to_numpy(norm.moving_mean))
        print(f"{name:18} images differ: {not np.array_equal(a, b)!s:5} statistics move: {moved}")
        #> predict            images differ: False statistics move: False
        #> training=True      images differ: True  statistics move: True
        #> always_on, predict images differ: True  statistics move: False
