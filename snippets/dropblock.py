"""DropBlock where its authors put it, in a residual block, and with a rate that rises."""

import keras
import numpy as np
from keras import layers

from conv_layers_dropblock import DropBlock2D


def residual_block(x, filters, rate=0.1, size=7):
    """Behind each convolution, normalised and activated, and on the skip connection."""

    def convolution(x, kernel):
        x = layers.Conv2D(filters, kernel, padding="same", use_bias=False)(x)
        return layers.BatchNormalization()(x)

    branch = layers.ReLU()(convolution(x, 3))
    branch = DropBlock2D(rate, size)(branch)
    branch = DropBlock2D(rate, size)(convolution(branch, 3))
    skip = DropBlock2D(rate, size)(convolution(x, 1))
    return layers.ReLU()(layers.Add()([branch, skip]))


class Rising(keras.callbacks.Callback):
    """Raises the rate of every DropBlock2D from zero to its own, epoch by epoch."""

    def on_train_begin(self, logs=None):
        drops = [layer for layer in self.model.layers if isinstance(layer, DropBlock2D)]
        self.rates = [(layer, layer.rate) for layer in drops]

    def on_epoch_begin(self, epoch, logs=None):
        for layer, rate in self.rates:
            layer.rate = rate * epoch / max(1, self.params["epochs"] - 1)
        # compiled with the old rate, so compile the step again
        self.model.make_train_function(force=True)


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    x = keras.Input((14, 14, 8))
    block = keras.Model(x, residual_block(x, 16))
    drops = [layer.name for layer in block.layers if isinstance(layer, DropBlock2D)]
    print("DropBlock layers in a residual block:", len(drops))
    #> DropBlock layers in a residual block: 3

    # a model whose loss is the share that is dropped
    model = keras.Sequential([keras.Input((28, 28, 30)), DropBlock2D(0.2, 3)])
    model.compile("sgd", lambda y, out: keras.ops.mean(keras.ops.cast(out == 0, "float32")))
    ones = np.ones((200, 28, 28, 30), "float32")
    history = model.fit(ones, ones[:, 0, 0], epochs=5, callbacks=[Rising()], verbose=0)
    print("share dropped, by epoch:", *(f"{share:.2f}" for share in history.history["loss"]))
    #> share dropped, by epoch: 0.00 0.05 0.10 0.14 0.18
