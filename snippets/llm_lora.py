"""LoRA with dropout as a Keras layer: what is dropped is the input of the low-rank branch alone."""

import keras
import numpy as np


class Lora(keras.layers.Layer):
    """A frozen Dense plus a trained branch of low rank (Hu et al., 2022): `(…, features)` to units.

    `rate` drops the input of the branch in training. The branch starts at zero.
    """

    def __init__(self, base, rank=4, alpha=8, rate=0.05, **kwargs):
        super().__init__(**kwargs)
        base.trainable = False
        self.base, self.scale = base, alpha / rank
        self.drop = keras.layers.Dropout(rate)
        self.down = keras.layers.Dense(rank, use_bias=False, name="a")
        zeros = {"kernel_initializer": "zeros", "use_bias": False}
        self.up = keras.layers.Dense(base.units, **zeros, name="b")

    def call(self, x, training=None):
        branch = self.up(self.down(self.drop(x, training=training)))
        return self.base(x) + self.scale * branch

    def merged(self):
        """The kernel of one Dense that does the same at inference: no dropout is in it."""
        branch = keras.ops.matmul(self.down.kernel, self.up.kernel)
        return self.base.kernel + self.scale * branch


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    layer = Lora(keras.layers.Dense(8), rate=0.1)
    model = keras.Sequential([keras.Input((32,)), layer])
    x, y = np.random.default_rng(0).normal(size=(2, 64, 32)).astype("float32")
    model.compile("adam", "mse")
    for step in range(2):
        a, b = (keras.ops.convert_to_numpy(model(x, training=True)) for _ in range(2))
        print(f"after {step} steps, two training passes differ:", not np.array_equal(a, b))
        #> after 0 steps, two training passes differ: False
        #> after 1 steps, two training passes differ: True
        model.train_on_batch(x, y[:, :8])
    merged = x @ keras.ops.convert_to_numpy(layer.merged())
    alike = np.allclose(merged, model.predict(x, verbose=0), atol=1e-4)
    print("merged, the same inference:", alike)
    #> merged, the same inference: True
