"""Is inference the mean of all thinned networks? Ask every one of them."""

import itertools

import keras
import numpy as np

numpy = keras.ops.convert_to_numpy


def all_masks(behind, x, rate=0.5):
    """The log-probabilities that `behind` gives under each mask of `x`, and the masks' weights."""
    units = x.shape[-1]
    masks = np.array(list(itertools.product((0, 1), repeat=units)), "float32")
    weights = np.prod(np.where(masks == 1, 1 - rate, rate), axis=1)
    masked = x * masks.reshape(-1, *[1] * (x.ndim - 1), units) / (1 - rate)
    logits = behind(masked.reshape(-1, *x.shape[1:]).astype("float32"))
    logs = numpy(keras.ops.log_softmax(logits))
    return logs.reshape(len(masks), len(x), *logs.shape[1:]), weights


def geometric(logs, weights):
    mean = np.exp(np.tensordot(weights, logs, 1))
    return mean / mean.sum(axis=-1, keepdims=True)


def arithmetic(logs, weights):
    return np.tensordot(weights, np.exp(logs), 1)


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(50, 8)).astype("float32")
    dense = keras.layers.Dense
    for deep in (False, True):
        behind = keras.Sequential([dense(16, "relu"), dense(5)] if deep else [dense(5)])
        inference, every = numpy(keras.ops.softmax(behind(x))), all_masks(behind, x)
        same = [np.allclose(mean(*every), inference, atol=1e-5) for mean in (geometric, arithmetic)]
        print(f"hidden layer behind: {deep}, geometric: {same[0]}, arithmetic: {same[1]}")
        #> hidden layer behind: False, geometric: True, arithmetic: False
        #> hidden layer behind: True, geometric: False, arithmetic: False
