"""DropBlock as a Keras layer: it drops squares of a feature map instead of single values."""

import keras
import numpy as np
from keras import ops


def gamma(rate, size, height, width):
    """The probability that a block starts at a place: equation 1 of Ghiasi et al. (2018)."""
    return rate / size**2 * height * width / ((height - size + 1) * (width - size + 1))


def realised_rate(rate, size, height, width):
    """The share that is dropped on average, exactly: less than `rate`, since blocks overlap."""
    rows, columns = (np.convolve(np.ones(n - size + 1), np.ones(size)) for n in (height, width))
    # a value stays if none of the blocks that would cover it starts
    return 1 - np.mean((1 - gamma(rate, size, height, width)) ** np.outer(rows, columns))


class DropBlock2D(keras.layers.Layer):
    """Drops squares of `block_size`, each feature map by itself: `(batch, height, width, maps)`."""

    def __init__(self, rate, block_size=7, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.rate, self.block_size, self.seed = rate, block_size, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, x, training=False):
        if not training or self.rate == 0:
            return x
        (_, h, w, maps), size = x.shape, min(self.block_size, *x.shape[1:3])
        shape = (ops.shape(x)[0], h - size + 1, w - size + 1, maps)  # where a whole block fits
        draws = keras.random.uniform(shape, dtype="float32", seed=self.seed_generator)
        starts = ops.cast(draws < gamma(self.rate, size, h, w), "float32")
        edge = (size - 1, size - 1)
        padded = ops.pad(starts, ((0, 0), edge, edge, (0, 0)))
        kept = 1 - ops.max_pool(padded, size, strides=1, data_format="channels_last")
        scale = ops.cast(ops.size(kept), "float32") / ops.maximum(ops.sum(kept), 1)
        return x * ops.cast(kept * scale, x.dtype)

    def get_config(self):
        own = {"rate": self.rate, "block_size": self.block_size, "seed": self.seed}
        return super().get_config() | own


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    ones = np.ones((100, 28, 28, 20), "float32")
    for size in (1, 3, 7):
        y = DropBlock2D(0.25, size)(ones, training=True)
        share = np.mean(ops.convert_to_numpy(y) == 0)
        print(f"block {size}: drops {share:.2f}, expected {realised_rate(0.25, size, 28, 28):.3f}")
        #> block 1: drops 0.25, expected 0.250
        #> block 3: drops 0.22, expected 0.222
        #> block 7: drops 0.22, expected 0.215
    layer = DropBlock2D.from_config(DropBlock2D(0.25, 7).get_config())  # as saving a model does
    print("changed at inference:", bool(np.any(ops.convert_to_numpy(layer(ones)) != 1)))
    #> changed at inference: False
