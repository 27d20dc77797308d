"""The mistake: a mask from NumPy, which is drawn once, when the training step is compiled."""

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
    """How many different masks the layer draws in so many training steps."""
    look, seen = Look(), set()
    model = keras.Sequential([keras.Input((8, 8, 1)), layer, look, keras.layers.Flatten()])
    model.compile("sgd", "mse")
    for _ in range(steps):
        model.train_on_batch(np.ones((1, 8, 8, 1)), np.zeros((1, 64)))
        seen.add(keras.ops.convert_to_numpy(look.seen).tobytes())
    return len(seen)


if __name__ == "__main__":
    np.random.seed(0)
    keras.utils.set_random_seed(0)
    wrong, right = masks(NumpyDropout()), masks(AutoDropout(size=2, stride=2, repeat=2))
    compiled = keras.backend.backend() != "torch"  # which runs the step's Python each time
    print("from NumPy, more than one, unless the step is compiled:", (wrong > 1) != compiled)
    #> from NumPy, more than one, unless the step is compiled: True
    print("from keras.random, more than one:", right > 1)
    #> from keras.random, more than one: True
