"""What the rate means: the fraction that is dropped, and what happens to the rest."""

import keras
import numpy as np

keras.utils.set_random_seed(0)
x = np.random.default_rng(0).normal(3, 1, 1_000_000).astype("float32")

for rate in (0.2, 0.5, 0.8):
    y = keras.ops.convert_to_numpy(keras.layers.Dropout(rate)(x, training=True))
    drops, scale = np.mean(y == 0), np.mean(y[y != 0] / x[y != 0])
    moments = f"mean {y.mean():.1f}, variance {y.var():.1f}"
    print(f"Dropout({rate}): drops {drops:.2f}, scales by {scale:.2f}, {moments}")
    #> Dropout(0.2): drops 0.20, scales by 1.25, mean 3.0, variance 3.5
    #> Dropout(0.5): drops 0.50, scales by 2.00, mean 3.0, variance 11.0
    #> Dropout(0.8): drops 0.80, scales by 5.00, mean 3.0, variance 41.0

print("at inference, unchanged:", np.array_equal(keras.layers.Dropout(0.8)(x), x))
#> at inference, unchanged: True
print("Dropout(0), unchanged:  ", np.array_equal(keras.layers.Dropout(0)(x, training=True), x))
#> Dropout(0), unchanged:   True
nothing = keras.ops.convert_to_numpy(keras.layers.Dropout(1)(x, training=True))
print("Dropout(1), all zeros:  ", not np.any(nothing))
#> Dropout(1), all zeros:   True
try:
    keras.layers.Dropout(20)  # 20 percent is 0.2
except ValueError as error:
    print(*str(error).split(". "), sep="\n")
    #> Invalid value received for argument `rate`
    #> Expected a float value between 0 and 1
    #> Received: rate=20
