"""The mistake: DropBlock made one-dimensional with the square left in, and no scaling."""

import keras
import numpy as np
from keras import ops


def wrong_drop_block_1d(x, rate, size):
    # a run is as long as its size, not as its square
    starts = keras.random.uniform(x.shape) < rate / size**2
    dropped = ops.max_pool(ops.cast(starts, "float32"), size, strides=1, padding="same")
    return ops.multiply(x, 1 - dropped)  # and nothing makes up for what is missing


keras.utils.set_random_seed(0)
rows = {}
for size in (1, 5, 20):
    ones = np.ones((500, 200, 16), "float32")
    y = ops.convert_to_numpy(wrong_drop_block_1d(ones, 0.25, size))
    rows[size] = np.mean(y == 0, axis=1)
    share = rows[size].mean()
    print(f"runs of {size:2}: meant to drop 0.25, drops {share:.2f}, mean {y.mean():.2f}")
    #> runs of  1: meant to drop 0.25, drops 0.25, mean 0.75
    #> runs of  5: meant to drop 0.25, drops 0.05, mean 0.95
    #> runs of 20: meant to drop 0.25, drops 0.01, mean 0.99
