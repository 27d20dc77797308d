"""A copy of a trained model with other rates, or without Dropout, and with the same weights."""

import keras
import numpy as np


def with_rate(model, rate):
    """The model with this rate in its Dropout layers and in nested models'; None takes them out."""

    def changed(layer):
        config = layer.get_config()
        if not isinstance(layer, keras.layers.Dropout):
            return type(layer).from_config(config)
        if rate is None:
            return keras.layers.Identity(name=layer.name)
        return type(layer).from_config(config | {"rate": rate})

    copy = keras.models.clone_model(model, clone_function=changed, recursive=True)
    copy.set_weights(model.get_weights())
    return copy


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(100), keras.layers.Dropout(0.0), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((100,)), *layers])
    x = np.random.default_rng(0).normal(size=(1000, 100)).astype("float32")
    for rate in (0.5, None):  # 0.5, although the layer was made with 0
        copy = with_rate(model, rate)
        same = np.allclose(model.predict(x, verbose=0), copy.predict(x, verbose=0), atol=1e-5)
        first, second = (keras.ops.convert_to_numpy(copy(x, training=True)) for _ in range(2))
        random = not np.array_equal(first, second)
        print(f"rate {rate}: predictions the same: {same}, random in training: {random}")
        #> rate 0.5: predictions the same: True, random in training: True
        #> rate None: predictions the same: True, random in training: False
