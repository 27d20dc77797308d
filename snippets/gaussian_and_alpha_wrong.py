"""The mistake: AlphaDropout behind ReLU, as if it were a better Dropout."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
x = np.random.default_rng(0).normal(size=(4000, 256)).astype("float32")

for activation, kernel in (("selu", "lecun_normal"), ("relu", "he_normal")):
    dense = layers.Dense(256, activation=activation, kernel_initializer=kernel)
    drop = layers.AlphaDropout(0.5)
    off = keras.ops.convert_to_numpy(dense(x))
    on = keras.ops.convert_to_numpy(drop(off, training=True))
    before, after = abs(off.mean()), abs(on.mean())
    print(f"{activation}: mean {before:.1f} becomes {after:.1f}, least {on.min():.0f}")
    #> selu: mean 0.0 becomes 0.0, least -1
    #> relu: mean 0.6 becomes 0.3, least -1
