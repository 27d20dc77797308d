"""DropConnect as a Keras layer: a Dense whose weights are dropped, not its inputs or outputs."""

import keras
import numpy as np
from keras import ops


class DropConnect(keras.layers.Dense):
    """Dense with dropped weights in training: `(batch, features)` to `(batch, units)`.

    Each example has a mask of its own, for kernel and bias, as in Wan et al. (2013); with `shared`
    one mask serves the whole batch. What is kept is multiplied by 1/(1 − rate), so that inference
    is that of a Dense.
    """

    def __init__(self, units, rate=0.5, shared=False, seed=None, **kwargs):
        super().__init__(units, **kwargs)
        self.rate, self.shared, self.seed = rate, shared, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def drop(self, weight, copies):
        weight = ops.broadcast_to(weight, (copies, *weight.shape))
        return keras.random.dropout(weight, self.rate, seed=self.seed_generator)

    def call(self, x, training=None):
        if not training or self.rate == 0:
            return super().call(x)
        copies = 1 if self.shared else ops.shape(x)[0]
        # `(batch, 1, features)` times `(copies, features, units)`
        y = ops.matmul(x[:, None], self.drop(self.kernel, copies))[:, 0]
        y = y + self.drop(self.bias, copies) if self.use_bias else y
        return self.activation(y)

    def get_config(self):
        return super().get_config() | {"rate": self.rate, "shared": self.shared, "seed": self.seed}


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(1, 100)).astype("float32").repeat(2, axis=0)
    ones = {"units": 2, "kernel_initializer": "ones"}  # two units with equal weights
    dropout = keras.Sequential([keras.layers.Dropout(0.5), keras.layers.Dense(**ones)])
    shared = DropConnect(**ones, shared=True)
    named = {"Dropout": dropout, "DropConnect": DropConnect(**ones), "shared": shared}
    for name, layer in named.items():
        y = ops.convert_to_numpy(layer(x, training=True))
        units, examples = (bool(np.allclose(a, b, atol=1e-3)) for a, b in ((y[0, 0], y[0, 1]), y))
        print(f"{name:11} equal units agree: {units!s:5} equal examples agree: {examples}")
        #> Dropout     equal units agree: True  equal examples agree: False
        #> DropConnect equal units agree: False equal examples agree: False
        #> shared      equal units agree: False equal examples agree: True
    off = [ops.convert_to_numpy(layer(x)) for layer in named.values()]
    print("at inference all three agree:", all(np.allclose(off[0], y, atol=1e-5) for y in off))
    #> at inference all three agree: True
    print("its settings are saved:", DropConnect.from_config(shared.get_config()).shared)
    #> its settings are saved: True
