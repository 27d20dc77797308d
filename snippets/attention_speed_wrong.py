"""The mistake: to ask for a rate and for the fast kernel in one layer, which Keras refuses."""

import keras

try:
    keras.layers.MultiHeadAttention(4, 16, dropout=0.1, flash_attention=True)
except ValueError as error:
    print("refused:", str(error).partition(".")[0])
    #> refused: Dropout is not supported when flash attention is enabled
