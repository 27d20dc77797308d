"""The mistake: a mask from NumPy, which `fit` draws once, when it compiles the step."""

import keras
import numpy as np

from autodropout import AutoDropout


class NumpyDropout(keras.layers.Layer):
    def call(self, x, training=False):
        return x * (np.random.rand(*x.shape[1:]) < 0.75) / 0.75 if training else x


class Look(keras.layers.Layer):
    """Keeps what comes in from the first example."""

    def build(self, shape):
        self.seen = self.add_weight(shape=shape[1:], trainable=False)

    def call(self, x):
        self.seen.assign(x[0])
        return x


def masks(layer, steps=20):
    """How many different masks the layer draws in so many steps of `fit`."""
    look, seen = Look(), set()
    model = keras.Sequential([keras.Input((8, 8, 1)), layer, look, keras.layers.Flatten()])
    model.compile("sgd", "mse")
    keep = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.add(np.array(look.seen).tobytes())
    )
    ones, targets = np.ones((steps, 8, 8, 1)), np.zeros((steps, 64))
    model.fit(ones, targets, batch_size=1, callbacks=[keep], verbose=0)
    return len(seen)


if __name__ == "__main__":
    np.random.seed(0)
    keras.utils.set_random_seed(0)
    wrong, right = masks(NumpyDropout()), masks(AutoDropout(size=2, stride=2, repeat=2))
    print("masks in 20 steps, from NumPy:", wrong)
    #> masks in 20 steps, from NumPy: 1
    print("from keras.random, more than one:", right > 1)
    #> from keras.random, more than one: True
