"""The mistake: LSTM(dropout=…) meant for what the LSTM puts out."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
inputs = np.random.default_rng(0).normal(size=(200, 20, 32)).astype("float32")

meant = layers.LSTM(32, dropout=0.5, return_sequences=True)  # masks its inputs
outputs = keras.ops.convert_to_numpy(meant(inputs, training=True))
print(f"LSTM(dropout=0.5): outputs set to zero {(outputs == 0).mean():.1f}")
#> LSTM(dropout=0.5): outputs set to zero 0.0

behind = layers.Dropout(0.5)(layers.LSTM(32, return_sequences=True)(inputs), training=True)
behind = keras.ops.convert_to_numpy(behind)
print(f"LSTM, then Dropout(0.5): outputs set to zero {(behind == 0).mean():.1f}")
#> LSTM, then Dropout(0.5): outputs set to zero 0.5

# one feature: the mask is drawn once for a sequence, so the whole series goes or stays
series = np.ones((2000, 20, 1), "float32")
layer = layers.SimpleRNN(1, activation=None, dropout=0.2, return_sequences=True)
layer.build(series.shape)
layer.set_weights([np.eye(1), np.zeros((1, 1)), np.zeros(1)])  # passes its inputs on
seen = keras.ops.convert_to_numpy(layer(series, training=True))
gone = (seen == 0).all(axis=(1, 2)).mean()
print(f"dropout=0.2 on one feature: series gone altogether {gone:.1f}")
#> dropout=0.2 on one feature: series gone altogether 0.2
