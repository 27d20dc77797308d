"""A small language model with and without dropout: on fresh text, and on repeated text."""

import keras
import numpy as np
from keras import layers, ops

from fair_comparison import dense, evaluate

SYMBOLS = 16


def text(length, seeds):
    """Pairs of symbols `(length, seeds, 2)` of an invented language, and what follows each pair."""
    shape = (SYMBOLS, SYMBOLS)
    chances = np.random.default_rng(0).dirichlet(np.full(SYMBOLS, 0.15), shape).cumsum(-1)
    draws = np.stack([np.random.default_rng(seed).random(length + 2) for seed in seeds], axis=1)
    found = np.zeros(draws.shape, int)
    for t in range(2, len(found)):
        below = chances[found[t - 2], found[t - 1]] < draws[t][:, None]
        found[t] = below.sum(-1).clip(max=SYMBOLS - 1)
    return np.stack([found[:-2], found[1:-1]], -1).astype("float32"), found[2:]


class Drop(layers.Layer):
    """Dropout with a rate for each replica: `(batch, replicas, features)`."""

    def __init__(self, rates):
        super().__init__()
        self.rates = np.array(rates, "float32")[:, None]
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, x, training=None):
        if not training:
            return x
        rates = ops.cast(self.rates, x.dtype)
        kept = keras.random.uniform(ops.shape(x), seed=self.seed_generator) >= rates
        return x * ops.cast(kept, x.dtype) / (1 - rates)


def losses(length, repeats, rates, seeds):
    """Test losses `(repeats, rates, seeds)`, all after `length` symbols: eight repeats are eight
    passes over an eighth of the text.
    """
    text_, test = text(length, seeds), text(5000, [seed + 1000 for seed in seeds])
    orders = [np.tile(np.arange(length // n), n) for n in repeats]
    # the replicas of one model: every rate for the first repeat, every rate for the second …
    arms = [order for order in orders for _ in rates]
    x, y = (np.concatenate([part[order] for order in arms], axis=1) for part in text_)
    x_test, y_test = (np.concatenate([part] * len(arms), axis=1) for part in test)
    n, each = x.shape[1], np.repeat(list(rates) * len(repeats), len(seeds))

    def network():
        one_hot = layers.Lambda(lambda x: ops.one_hot(ops.cast(x, "int32"), SYMBOLS))
        flat = layers.Reshape((n, 2 * SYMBOLS))
        hidden = [dense(n, 64, "relu"), Drop(each), dense(n, 64, "relu"), Drop(each)]
        return [one_hot, flat, *hidden, dense(n, SYMBOLS)]

    measured = evaluate(network, (x, y, x_test, y_test), epochs=1)[1]
    return measured.reshape(len(repeats), len(rates), len(seeds))


if __name__ == "__main__":
    once, often = losses(16_000, repeats=(1, 64), rates=(0, 0.3), seeds=range(4))
    print("one pass over 16,000 symbols, dropout is worse:", np.sum(once[1] > once[0]), "of 4")
    #> one pass over 16,000 symbols, dropout is worse: 4 of 4
    print("64 passes over 250 symbols, dropout is better:", np.sum(often[1] < often[0]), "of 4")
    #> 64 passes over 250 symbols, dropout is better: 4 of 4
