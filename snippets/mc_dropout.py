"""Monte Carlo dropout: train as usual, then predict many times with dropout on."""

import keras
import numpy as np
from sklearn.datasets import load_digits


class MCDropout(keras.layers.Dropout):  # on at all times, in `predict` too
    def call(self, inputs, training=None):
        return super().call(inputs, training=True)


def always_on(model):
    """A copy of a model, with its weights, whose Dropout layers never switch off."""

    def swap(layer):
        kind = MCDropout if type(layer) is keras.layers.Dropout else type(layer)
        return kind.from_config(layer.get_config())

    copy = keras.models.clone_model(model, clone_function=swap, recursive=True)
    copy.set_weights(model.get_weights())
    return copy


def sample(model, x, passes=50):
    """Predictions with dropout on, `(passes, examples, outputs)`."""
    rows = np.repeat(x, passes, axis=0)  # each row of a batch has a mask of its own
    return model.predict(rows, verbose=0).reshape(len(x), passes, -1).swapaxes(0, 1)


def entropy(p):
    """In nats, over the last axis: zero when one class has all the probability."""
    return -np.sum(p * np.log(p + 1e-9), axis=-1)


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype("float32")
    hidden = [keras.layers.Dense(64, "relu"), keras.layers.Dropout(0.5)]
    model = keras.Sequential([keras.Input((64,)), *hidden, keras.layers.Dense(10, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x[:1000], y[:1000], epochs=10, verbose=0)

    samples = sample(always_on(model), x[1000:1200])
    mean, spread = samples.mean(axis=0), samples.std(axis=0)
    noise = np.random.default_rng(0).permuted(x[1000:1200], axis=1)  # no digits: pixels shuffled
    unknown = sample(always_on(model), noise).mean(axis=0)
    print("shapes:", samples.shape, mean.shape, spread.shape)
    #> shapes: (50, 200, 10) (200, 10) (200, 10)
    print("each pass is another:", not np.array_equal(samples[0], samples[1]))
    #> each pass is another: True
    print("no digit, more entropy:", bool(np.mean(entropy(unknown)) > np.mean(entropy(mean))))
    #> no digit, more entropy: True
