"""The mistake: small rates in bfloat16. Behind twelve of them the mean has moved from one."""

import keras

from mixed_precision import as_array


def mean_behind(dtype, layers=12, rate=0.01):
    """The mean of two million ones behind so many Dropouts in training."""
    y = keras.ops.ones((1000, 2000), dtype)
    for _ in range(layers):
        y = keras.layers.Dropout(rate, dtype=dtype)(y, training=True)
    return as_array(y).mean(dtype="float64")


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    print(f"in float32:  {mean_behind('float32'):.2f}")
    #> in float32:  1.00
    moved = abs(mean_behind("bfloat16") - 1)
    print("in bfloat16: off by more than two in a hundred:", moved > 0.02)
    #> in bfloat16: off by more than two in a hundred: True
