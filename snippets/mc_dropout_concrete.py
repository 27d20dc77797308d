"""Concrete dropout: the rate is learned; with more data it falls."""

import keras
import numpy as np
from keras import ops


class ConcreteDense(keras.layers.Dense):
    """Dense, its inputs dropped at a learned rate, for a squared error and `n` examples."""

    def __init__(self, units, n, length=0.01, precision=10.0, **kwargs):
        super().__init__(units, **kwargs)
        self.seed = keras.random.SeedGenerator()
        self.weigh, self.spread = length**2 / (precision * n), 2 / (precision * n)

    def build(self, input_shape):
        super().build(input_shape)
        self.logit = self.add_weight(shape=(), initializer=keras.initializers.Constant(-1.0))

    def call(self, inputs, training=None):
        rate = ops.sigmoid(self.logit)
        noise = keras.random.uniform(ops.shape(inputs), 1e-6, 1 - 1e-6, seed=self.seed)
        logits = self.logit + ops.log(noise) - ops.log1p(-noise)
        keep = 1 - ops.sigmoid(logits / 0.1)  # nearly zero or one, and it has a gradient
        entropy = -rate * ops.log(rate) - (1 - rate) * ops.log(1 - rate)
        norm = ops.sum(ops.square(self.kernel)) / (1 - rate)
        self.add_loss(self.weigh * norm - self.spread * inputs.shape[-1] * entropy)
        return super().call(inputs * keep / (1 - rate))


def learned_rate(n, seed=0):
    """The rate in front of the last layer, after 1500 steps on `n` examples."""
    keras.utils.set_random_seed(seed)
    x = np.linspace(-2, 2, n, dtype="float32")
    y = np.sin(3 * x) + np.random.default_rng(seed).normal(0, 0.3, n).astype("float32")
    x, y = (np.resize(v, (5000, 1)) for v in (x, y))  # a few examples are seen more often
    last = ConcreteDense(1, n)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(100, "relu"), last])
    steps = 1 if keras.backend.backend() == "torch" else 100  # PyTorch takes single steps
    model.compile(keras.optimizers.Adam(0.01), "mse", steps_per_execution=steps)
    model.fit(x, y, batch_size=50, epochs=15, verbose=0)
    return float(ops.sigmoid(last.logit))


if __name__ == "__main__":
    few, many = learned_rate(50), learned_rate(5000)
    print("it starts at 0.27; with more data it is lower:", many < few)
    #> it starts at 0.27; with more data it is lower: True
