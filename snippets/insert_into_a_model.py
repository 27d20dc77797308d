"""Insert Dropout behind chosen layers of an existing model, with branches and nested models."""

import keras
import numpy as np


def insert_dropout(model, behind, rate):
    """A copy of a Sequential or Functional model, with its weights.

    A Dropout stands behind each call of a layer for which `behind(layer)` is true.
    """

    def copied(layer):
        if isinstance(layer, keras.Model) and hasattr(layer, "inputs"):  # nested
            return insert_dropout(layer, behind, rate)
        return type(layer).from_config(layer.get_config())

    def call(layer, *args, **kwargs):
        outputs = layer(*args, **kwargs)
        return keras.layers.Dropout(rate)(outputs) if behind(layer) else outputs

    if isinstance(model, keras.Sequential):  # stays one, so that files of weights fit
        shape, dtype = model.inputs[0].shape, model.inputs[0].dtype
        parts = [keras.Input(batch_shape=shape, dtype=dtype)]
        for layer in model.layers:
            parts += [copied(layer)] + [keras.layers.Dropout(rate)] * behind(layer)
        copy = keras.Sequential(parts, name=model.name)
    else:
        copy = keras.models.clone_model(model, clone_function=copied, call_function=call)
    copy.set_weights(model.get_weights())  # Dropout has none, so the lists match
    return copy


def pretrained():
    """A nested base with a branch, and a head."""
    inputs = keras.Input((20,), name="features")
    first = keras.layers.Dense(64, activation="relu", name="first")(inputs)
    second = keras.layers.Dense(64, activation="relu", name="second")(first)
    base = keras.Model(inputs, keras.layers.Add(name="skip")([first, second]), name="base")
    head = keras.layers.Dense(5, name="head")
    return keras.Sequential([keras.Input((20,), name="inputs"), base, head])


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    model = pretrained()
    copy = insert_dropout(model, lambda layer: layer.name in ("first", "second"), rate=0.2)

    for layer in copy.get_layer("base").layers:
        print(type(layer).__name__)
        #> InputLayer
        #> Dense
        #> Dropout
        #> Dense
        #> Dropout
        #> Add
    x = np.random.default_rng(0).normal(size=(1000, 20)).astype("float32")
    same = np.array_equal(model.predict(x, verbose=0), copy.predict(x, verbose=0))
    print("predictions the same:", same)
    #> predictions the same: True
    on, again = (keras.ops.convert_to_numpy(copy(x, training=True)) for _ in range(2))
    print("random in training:", not np.array_equal(on, again))
    #> random in training: True
