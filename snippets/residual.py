"""Dropout in a Transformer block, post-norm and pre-norm: the input itself stays whole."""

import keras
import numpy as np
from keras import layers


def residual(x, sublayer, rate, pre_norm):
    normalise = layers.LayerNormalization(epsilon=1e-6)
    y = sublayer(normalise(x)) if pre_norm else sublayer(x)
    y = layers.Dropout(rate)(y)  # the output of the sub-layer, before it is added
    x = layers.Add()([x, y])
    return x if pre_norm else normalise(x)


def block(x, heads=4, rate=0.1, pre_norm=True):
    width = x.shape[-1]
    attention = layers.MultiHeadAttention(heads, width // heads, dropout=rate)
    hidden, output = layers.Dense(4 * width, activation="relu"), layers.Dense(width)
    x = residual(x, lambda y: attention(y, y), rate, pre_norm)
    return residual(x, lambda y: output(hidden(y)), rate, pre_norm)


def encoder(words=1000, length=64, width=64, blocks=6, rate=0.1, pre_norm=True):
    tokens = keras.Input((length,), dtype="int32")
    positions = layers.Embedding(length, width)(keras.ops.arange(length))
    x = layers.Embedding(words, width)(tokens) + positions
    x = layers.Dropout(rate)(x)  # the sum of embeddings and positional encodings
    for _ in range(blocks):
        x = block(x, rate=rate, pre_norm=pre_norm)
    return keras.Model(tokens, layers.LayerNormalization()(x) if pre_norm else x)


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(8, 64, 64)).astype("float32")
    stream = keras.Input((64, 64))
    for pre_norm in (True, False):
        model = keras.Model(stream, block(stream, pre_norm=pre_norm))
        silent = [np.zeros_like(w) if w.ndim > 1 else w for w in model.get_weights()]
        model.set_weights(silent)  # the sub-layers put out zeros: what is left is the identity path
        y = keras.ops.convert_to_numpy(model(x, training=True))
        print(f"pre_norm={pre_norm}: zeros on the identity path: {np.sum(y == 0)}")
        #> pre_norm=True: zeros on the identity path: 0
        #> pre_norm=False: zeros on the identity path: 0
    model = encoder()
    listed = sum(isinstance(layer, layers.Dropout) for layer in model.layers)
    print("dropouts of an encoder of 6 blocks, outside attention:", listed)
    #> dropouts of an encoder of 6 blocks, outside attention: 13
