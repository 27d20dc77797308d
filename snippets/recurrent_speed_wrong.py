"""The mistake: a fast layer made slow by one argument. Asked for the fast kernel, Keras says no."""

import keras
import numpy as np

x = np.zeros((2, 5, 3), "float32")
layer = keras.layers.LSTM(8, recurrent_dropout=0.2)  # "auto": falls back without a word
layer(x)

try:
    keras.layers.LSTM(8, recurrent_dropout=0.2, use_cudnn=True)(x)
except ValueError as error:
    print("refused:", "cuDNN is not supported for this layer configuration" in str(error))
    #> refused: True
