"""How long does Dropout take, beside a pass over the same bytes, and in a training step?"""

import sys
import time

import keras
import numpy as np


def calls(function, n=10):
    """A run of n calls that ends when the device has finished: fetching a value waits for it."""

    def run():
        for _ in range(n):
            outputs = function()
        keras.ops.convert_to_numpy(outputs[0, :1])

    return run


def race(*runs, rounds=7):
    """The seconds that each run takes, in turn, round by round: an array `(rounds, runs)`."""
    times = np.empty((rounds + 2, len(runs)))
    for row in times:
        for i, run in enumerate(runs):
            start = time.perf_counter()
            run()
            row[i] = time.perf_counter() - start
    return times[2:]  # the first rounds compile and allocate


def each_step(*makes, n=8, rounds=7):
    """The seconds of one step of each: of 3n steps less n, so that the start of `fit` is out."""
    runs = [make(count) for count in (n, 3 * n) for make in makes]
    few, many = np.split(race(*runs, rounds=rounds), 2, axis=1)
    return (many - few) / (2 * n)


def steps(rate, width=256, batch=256, n=8, **options):
    """A run of n training steps of a network with two hidden layers, a Dropout behind each."""
    model = keras.Sequential([keras.Input((64,))])
    for _ in range(2):
        model.add(keras.layers.Dense(width, "relu"))
        model.add(keras.layers.Dropout(rate))
    model.add(keras.layers.Dense(10))
    model.compile("sgd", "mse", **options)
    x, y = np.zeros((batch * n, 64), "float32"), np.zeros((batch * n, 10), "float32")
    return lambda: model.fit(x, y, batch_size=batch, verbose=0)


if __name__ == "__main__":
    x, layer = keras.ops.ones((2048, 2048)), keras.layers.Dropout(0.5)
    passing = np.median(race(calls(lambda: -x), calls(lambda: layer(x, training=True))), axis=0)
    makes = [lambda n, rate=rate: steps(rate, n=n) for rate in (0, 0.5)]
    training = np.median(each_step(*makes), axis=0)
    for name, (a, b) in {"-x, Dropout": passing, "a step without, with": training}.items():
        print(f"{name}: {1000 * a:.1f} ms, {1000 * b:.1f} ms", file=sys.stderr)  # your machine's

    print("Dropout takes longer than a change of sign:", passing[1] > passing[0])
    #> Dropout takes longer than a change of sign: True
    print("at inference it hands its input on:", layer(x) is x)
    #> at inference it hands its input on: True
