"""A Dropout that keeps its rate in a model of mixed precision: this one layer in float32."""

import keras
import numpy as np


def as_array(tensor):
    return keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32"))


def through(layer, n=2_000_000):
    """What a layer makes of so many ones in training, in its own precision."""
    return layer(keras.ops.ones((1000, n // 1000), layer.compute_dtype), training=True)


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy("mixed_bfloat16")
    plain = keras.layers.Dropout(0.01)
    safe = keras.layers.Dropout(0.01, dtype="float32")

    for name, layer in (("plain", plain), ("safe", safe)):
        print(f"{name:5} puts out {keras.backend.standardize_dtype(through(layer).dtype)}")
        #> plain puts out bfloat16
        #> safe  puts out float32
    y = as_array(through(safe))
    print(f"safe drops {np.mean(y == 0):.3f}, and the mean stays at {y.mean():.2f}")
    #> safe drops 0.010, and the mean stays at 1.00

    # the layer behind it is in mixed precision as before
    after = keras.layers.Dense(4)(through(safe))
    print("the next layer puts out", keras.backend.standardize_dtype(after.dtype))
    #> the next layer puts out bfloat16
    keras.config.set_dtype_policy("float32")
