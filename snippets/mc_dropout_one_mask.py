"""One mask for all inputs: each pass is one thinned network, a function of its own."""

import keras
import numpy as np


class OneMask(keras.layers.Dropout):
    """Dropout in training; in `predict` one stored mask for every row, until it is redrawn."""

    def build(self, input_shape):
        shape = input_shape[1:]
        self.mask = self.add_weight(shape=shape, initializer="ones", trainable=False, name="mask")

    def redraw(self):
        ones = keras.ops.ones(self.mask.shape)
        self.mask.assign(keras.random.dropout(ones, self.rate, seed=self.seed_generator))

    def clear(self):  # all units, as in ordinary inference
        self.mask.assign(keras.ops.ones(self.mask.shape))

    def call(self, inputs, training=None):
        return super().call(inputs, training=True) if training else inputs * self.mask


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    drop = OneMask(0.5)
    hidden = keras.layers.Dense(100, "relu", bias_initializer="random_normal")
    model = keras.Sequential([keras.Input((1,)), hidden, drop, keras.layers.Dense(1)])
    x = np.zeros((100, 1), "float32")  # a hundred times the same point, in four batches

    passes = []
    for redraw in (True, False, True):
        if redraw:
            drop.redraw()
        passes.append(model.predict(x, verbose=0))
    drop.clear()
    passes.append(model.predict(x, verbose=0))
    print("values in one pass:", *(len(np.unique(y.round(5))) for y in passes))
    #> values in one pass: 1 1 1 1
    print("same mask, same pass:", np.allclose(passes[0], passes[1]))
    #> same mask, same pass: True
    print("new mask, new function:", not np.allclose(passes[1], passes[2]))
    #> new mask, new function: True
