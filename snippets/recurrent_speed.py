"""Which of its two rates makes a recurrent layer slow? See what each changes, and time all."""

import sys

import keras
import numpy as np

from speed import race

OPTIONS = {"no dropout": {}, "dropout": {"dropout": 0.2}, "recurrent": {"recurrent_dropout": 0.2}}


def fits(units=32, length=50, batch=32, n=2, **options):
    """A run of n training steps of an LSTM with these options."""
    lstm = keras.layers.LSTM(units, **options)
    model = keras.Sequential([keras.Input((length, 16)), lstm, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.zeros((batch * n, length, 16), "float32"), np.zeros((batch * n, 1), "float32")
    return lambda: model.fit(x, y, batch_size=batch, verbose=0)


if __name__ == "__main__":
    for name, options in OPTIONS.items():
        layer = keras.layers.LSTM(32, **options)
        how = "one by one" if layer.cell.implementation == 1 else "at once"
        print(f"{name:10} computes its gates {how}")
        #> no dropout computes its gates at once
        #> dropout    computes its gates at once
        #> recurrent  computes its gates one by one
    times = np.median(race(*(fits(**options) for options in OPTIONS.values())), axis=0)
    for name, seconds in zip(OPTIONS, times, strict=True):
        print(f"{name:10} {1000 * seconds:.0f} ms", file=sys.stderr)  # your machine's
