"""Add Dropout after every hidden Dense layer of an existing model, and keep its weights."""

import keras
import numpy as np


def add_dropout(model, rate):
    """A copy of a Sequential or Functional model, with Dropout after each hidden Dense layer."""
    outputs = {tensor._keras_history.operation.name for tensor in model.outputs}

    def call(layer, *args, **kwargs):
        result = layer(*args, **kwargs)
        if isinstance(layer, keras.layers.Dense) and layer.name not in outputs:
            result = keras.layers.Dropout(rate)(result)
        return result

    functional = keras.Model(model.inputs, model.outputs)
    copy = keras.models.clone_model(functional, call_function=call)
    copy.set_weights(model.get_weights())  # Dropout has no weights, so the lists match
    return copy


if __name__ == "__main__":
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
    images = np.random.default_rng(0).random((100, 28, 28), dtype="float32")
    before = model.predict(images, verbose=0)

    model = add_dropout(model, rate=0.2)
    model.compile("adam", "sparse_categorical_crossentropy")  # the copy is not compiled
    for layer in model.layers[1:]:
        print(type(layer).__name__)
        #> Flatten
        #> Dense
        #> Dropout
        #> Dense
        #> Dropout
        #> Dense
    after = model.predict(images, verbose=0)
    print("predictions are the same:", np.array_equal(before, after))
    #> predictions are the same: True
