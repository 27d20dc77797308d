"""DropBlock for sequences: it drops runs of time steps, each channel by itself."""

import keras
import numpy as np
from keras import ops


def gamma_1d(rate, size, steps):
    """The probability that a run starts at a step: rate over `size`, not over its square."""
    return rate / size * steps / (steps - size + 1)


def realised_1d(rate, size, steps):
    """How often each step is dropped, exactly, `(steps,)`: runs overlap, and ends have fewer."""
    runs = np.convolve(np.ones(steps - size + 1), np.ones(size))
    return 1 - (1 - gamma_1d(rate, size, steps)) ** runs


class DropBlock1D(keras.layers.Layer):
    """Drops runs of `block_size` steps: `(batch, steps, channels)`, of all channels if `shared`."""

    def __init__(self, rate, block_size=7, shared=False, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.rate, self.block_size, self.shared, self.seed = rate, block_size, shared, seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def call(self, x, training=False):
        if not training or self.rate == 0:
            return x
        (_, steps, channels), size = x.shape, min(self.block_size, x.shape[1])
        shape = (ops.shape(x)[0], steps - size + 1, 1 if self.shared else channels)
        draws = keras.random.uniform(shape, dtype="float32", seed=self.seed_generator)
        starts = ops.cast(draws < gamma_1d(self.rate, size, steps), "float32")
        padded = ops.pad(starts, ((0, 0), (size - 1, size - 1), (0, 0)))
        kept = 1 - ops.max_pool(padded, size, strides=1, data_format="channels_last")
        # by what was kept, so that the mean of the batch stays
        scale = ops.cast(ops.size(kept), "float32") / ops.maximum(ops.sum(kept), 1)
        return x * ops.cast(kept * scale, x.dtype)

    def get_config(self):
        own = {"rate": self.rate, "block_size": self.block_size}
        return super().get_config() | own | {"shared": self.shared, "seed": self.seed}


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    ones = np.ones((1000, 200, 16), "float32")
    layer = DropBlock1D.from_config(DropBlock1D(0.2, 10).get_config())
    y = ops.convert_to_numpy(layer(ones, training=True))
    expected = realised_1d(0.2, 10, 200).mean()
    print(f"dropped: {np.mean(y == 0):.2f}, expected: {expected:.3f}, mean: {y.mean():.2f}")
    #> dropped: 0.18, expected: 0.182, mean: 1.00
    print("at inference:", "unchanged" if np.all(ops.convert_to_numpy(layer(ones)) == 1) else "?")
    #> at inference: unchanged
