"""The mistake: to time a Dropout that does nothing, because nobody told it that it trains."""

import time

import keras

x, layer = keras.ops.ones((2048, 2048)), keras.layers.Dropout(0.5)
start = time.perf_counter()
for _ in range(100):
    y = layer(x)  # without training=True
seconds = time.perf_counter() - start  # of handing a tensor on, a hundred times

print("the tensor that comes out is the one that went in:", y is x)
#> the tensor that comes out is the one that went in: True
print("values dropped:", int(keras.ops.count_nonzero(x) - keras.ops.count_nonzero(y)))
#> values dropped: 0
