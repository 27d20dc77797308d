"""What a small rate becomes under TensorFlow, which draws in the precision of the tensor."""

import keras
import numpy as np

from mixed_precision import as_array, through


def grid(rate, bits):
    """The rate, rounded up to a multiple of 2**-bits, of which the draws are."""
    return np.ceil(rate * 2**bits) / 2**bits


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    for dtype, bits in (("float32", 23), ("float16", 10), ("bfloat16", 7)):
        for rate in (0.001, 0.01, 0.1):
            y = as_array(through(keras.layers.Dropout(rate, dtype=dtype)))
            print(f"{dtype:8} {rate:5} drops {np.mean(y == 0):.3f}, as {grid(rate, bits):.3f}")
            #> float32  0.001 drops 0.001, as 0.001
            #> float32   0.01 drops 0.010, as 0.010
            #> float32    0.1 drops 0.101, as 0.100
            #> float16  0.001 drops 0.002, as 0.002
            #> float16   0.01 drops 0.011, as 0.011
            #> float16    0.1 drops 0.100, as 0.101
            #> bfloat16 0.001 drops 0.008, as 0.008
            #> bfloat16  0.01 drops 0.016, as 0.016
            #> bfloat16   0.1 drops 0.102, as 0.102
