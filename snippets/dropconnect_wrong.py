"""The mistake: dropout of the activations, times the rate, under the name of DropConnect."""

import keras
import numpy as np


class DropConnect(keras.layers.Layer):
    def __init__(self, rate):
        super().__init__()
        self.rate, self.seed_generator = rate, keras.random.SeedGenerator()

    def call(self, x, training=None):
        if not training:
            return x
        # masks what it receives, not a weight; and 1 - rate would undo the scaling, not rate
        return keras.random.dropout(x, self.rate, seed=self.seed_generator) * self.rate


keras.utils.set_random_seed(0)
layer, ones = DropConnect(0.2), np.ones((1000, 100), "float32")
training = keras.ops.convert_to_numpy(layer(ones, training=True))
inference = keras.ops.convert_to_numpy(layer(ones))
print("weights that it has, or could drop:", len(layer.weights))
#> weights that it has, or could drop: 0
print(f"units set to zero: {np.mean(training == 0):.2f}, and the others to {training.max():.2f}")
#> units set to zero: 0.20, and the others to 0.25
print(f"mean in training: {training.mean():.2f}, at inference: {inference.mean():.2f}")
#> mean in training: 0.20, at inference: 1.00
