"""The mistake that most answers make: a callback that sets the rate of a compiled model."""

import keras
import numpy as np

from change_the_rate import network


class SetRate(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.model.layers[-1].rate = 0.1 + 0.2 * epoch  # the compiled function does not look here


x = np.ones((1000, 100), "float32")
model = network(0.1)
history = model.fit(x, x, epochs=3, callbacks=[SetRate()], verbose=0).history
print("the layer says:", f"{model.layers[-1].rate:.1f}")
#> the layer says: 0.5
print("dropped in each epoch:", *(f"{share:.2f}" for share in history["zeros"]))
#> dropped in each epoch: 0.10 0.10 0.10
