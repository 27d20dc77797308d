"""Change the rate while `fit` runs: set it, and have the training function made anew."""

import keras
import numpy as np


def dropouts(model):
    """The Dropout layers of a model, also those in nested models and in layers of your own."""
    return [part for part in model._flatten_layers() if isinstance(part, keras.layers.Dropout)]


class RateSchedule(keras.callbacks.Callback):
    def __init__(self, rate_of):
        super().__init__()
        self.rate_of = rate_of

    def on_epoch_begin(self, epoch, logs=None):
        for layer in dropouts(self.model):
            layer.rate = self.rate_of(epoch)
        self.model.make_train_function(force=True)  # the one in use has the old rate built in


def zeros(y_true, y_pred):
    """A metric: the share of the outputs that are zero."""
    return keras.ops.mean(keras.ops.cast(keras.ops.equal(y_pred, 0), "float32"), axis=-1)


def network(rate):
    """Puts out ones, and zeros where they are dropped."""
    dense = keras.layers.Dense(100, kernel_initializer="identity")
    model = keras.Sequential([keras.Input((100,)), dense, keras.layers.Dropout(rate)])
    model.compile(keras.optimizers.SGD(0.0), "mse", metrics=[zeros])
    return model


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    x = np.ones((1000, 100), "float32")
    schedule = RateSchedule(lambda epoch: 0.1 + 0.2 * epoch)
    history = network(0.1).fit(x, x, epochs=3, callbacks=[schedule], verbose=0).history
    print("dropped in each epoch:", *(f"{share:.2f}" for share in history["zeros"]))
    #> dropped in each epoch: 0.10 0.30 0.50
