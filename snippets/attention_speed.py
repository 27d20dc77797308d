"""Attention that drops weights has to write them down: how many, how long, and how to serve."""

import sys

import keras
import numpy as np

from speed import race


def model(dropout, length=128, heads=4, size=16):
    inputs = keras.Input((length, heads * size))
    attention = keras.layers.MultiHeadAttention(heads, size, dropout=dropout)
    net = keras.Model(inputs, attention(inputs, inputs))
    net.compile("sgd", "mse")
    return net


def passes(net, batch=8, n=2, training=True):
    """A run of n training steps, or of n predictions."""
    x = np.zeros((batch * n, *net.input_shape[1:]), "float32")
    if training:
        return lambda: net.fit(x, x, batch_size=batch, verbose=0)
    return lambda: net.predict(x, batch_size=batch, verbose=0)


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(8, 128, 64)).astype("float32")
    dropping, plain = model(0.1), model(0.0)
    _, weights = dropping.layers[-1](x, x, return_attention_scores=True)
    print("attention weights of one call:", tuple(weights.shape), "for an output of", x.shape)
    #> attention weights of one call: (8, 4, 128, 128) for an output of (8, 128, 64)
    for training in (True, False):
        runs = (passes(net, training=training) for net in (plain, dropping))
        a, b = 1000 * np.median(race(*runs), axis=0)
        print(f"training {training}: {a:.0f} ms without, {b:.0f} ms with", file=sys.stderr)  # yours

    # the same layer without the rate, for serving
    plain.set_weights(dropping.get_weights())
    outputs = [keras.ops.convert_to_numpy(net(x)) for net in (plain, dropping)]
    print("they agree at inference:", np.allclose(*outputs, atol=1e-5))
    #> they agree at inference: True
