"""A Dropout whose rate is a variable: change it at any time, at no cost."""

import keras
import numpy as np
from keras import ops

from change_the_rate import zeros


class VariableDropout(keras.layers.Layer):
    def __init__(self, rate, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.first, self.seed = rate, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape):
        start = keras.initializers.Constant(self.first)
        self.rate = self.add_weight(shape=(), initializer=start, trainable=False, name="rate")

    def call(self, inputs, training=None):
        if not training:
            return inputs
        draws = keras.random.uniform(ops.shape(inputs), seed=self.seed_generator)
        return ops.where(draws >= self.rate, inputs / (1 - self.rate), 0)

    def get_config(self):
        return super().get_config() | {"rate": self.first, "seed": self.seed}


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    x, drop = np.ones((1000, 100), "float32"), VariableDropout(0.0)
    dense = keras.layers.Dense(100, kernel_initializer="identity")
    model = keras.Sequential([keras.Input((100,)), dense, drop])
    model.compile(keras.optimizers.SGD(0.0), "mse", metrics=[zeros])
    schedule = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: drop.rate.assign(0.3 * epoch)
    )
    history = model.fit(x, x, epochs=3, callbacks=[schedule], verbose=0).history
    print("dropped in each epoch:", *(f"{share:.2f}" for share in history["zeros"]))
    #> dropped in each epoch: 0.00 0.30 0.60
    again = VariableDropout.from_config(drop.get_config())
    print(f"starts at {again.first}, now {float(drop.rate):.1f}, weights: {len(drop.weights)}")
    #> starts at 0.0, now 0.6, weights: 1
