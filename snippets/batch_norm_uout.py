"""Uout: a noise that hardly changes the variance, for where a BatchNormalization follows."""

import keras
import numpy as np


class Uout(keras.layers.Layer):
    """In training, multiplies each value by `1 + u`, `u` uniform from `-beta` to `beta`."""

    def __init__(self, beta=0.1, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.beta = beta
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs, training=False):
        if not training:
            return inputs
        shape, seed = keras.ops.shape(inputs), self.seed_generator
        u = keras.random.uniform(shape, -self.beta, self.beta, inputs.dtype, seed)
        return inputs * (1 + u)

    def get_config(self):
        return super().get_config() | {"beta": self.beta}


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=1_000_000).astype("float32")
    layers = Uout(0.1, name="uout_0.1"), Uout(0.5, name="uout_0.5"), keras.layers.Dropout(0.5)
    for noise in layers:
        y = keras.ops.convert_to_numpy(noise(x, training=True))
        print(f"{noise.name}: variance in training {y.var():.1f}, at inference {x.var():.1f}")
        #> uout_0.1: variance in training 1.0, at inference 1.0
        #> uout_0.5: variance in training 1.1, at inference 1.0
        #> dropout: variance in training 2.0, at inference 1.0
    print("at inference, unchanged:", np.array_equal(Uout(0.1)(x), x))
    #> at inference, unchanged: True
    print("beta is saved with a model:", Uout(0.2).get_config()["beta"])
    #> beta is saved with a model: 0.2
