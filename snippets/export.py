"""Dropout in deployment: the masks are inputs of the model, which every format takes."""

import keras
import numpy as np
from keras import layers


def network(rate=0.5):
    return keras.Sequential(
        [
            keras.Input((8,), name="features"),
            layers.Dense(64, activation="relu"),
            layers.Dropout(rate, name="dropout"),
            layers.Dense(1),
        ]
    )


def with_masks(model):
    """The same layers, each Dropout replaced by a product with an input `<name>_mask`."""
    x, masks = model.inputs[0], []
    for layer in model.layers:
        if isinstance(layer, layers.Dropout):
            masks.append(keras.Input(x.shape[1:], name=f"{layer.name}_mask"))
            x = layers.Multiply()([x, masks[-1]])
        else:
            x = layer(x)
    return keras.Model([model.inputs[0], *masks], x)


def draw(samples, shape, rate, rng):
    """Masks of zeros and `1 / (1 - rate)`: this is all that the device has to compute by itself."""
    return (rng.random((samples, *shape)) >= rate).astype("float32") / (1 - rate)


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    model = network()
    masked = with_masks(model)
    print("inputs:", ", ".join(tensor.name for tensor in masked.inputs))
    #> inputs: features, dropout_mask
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 8)).astype("float32")
    many = np.repeat(x, 2000, axis=0)  # one example, and a mask for each copy of it

    off = keras.ops.convert_to_numpy(masked([x, np.ones((1, 64), "float32")]))
    before = model.predict(x, verbose=0)
    print("with masks of ones it predicts as before:", np.allclose(off, before, atol=1e-5))
    #> with masks of ones it predicts as before: True
    given = keras.ops.convert_to_numpy(masked([many, draw(2000, (64,), 0.5, rng)]))
    own = keras.ops.convert_to_numpy(model(many, training=True))
    ratio = given.std() / own.std()
    print(f"spread of 2000 predictions, relative to Keras' own dropout: {ratio:.1f}")
    #> spread of 2000 predictions, relative to Keras' own dropout: 1.0
