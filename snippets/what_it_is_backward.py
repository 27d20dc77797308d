"""A hidden layer with dropout, backwards by hand, against a step of Keras."""

import keras
import numpy as np


def forward(x, y, first, second, mask):
    """Half the squared error; `mask` holds zeros and `1 / (1 - rate)`."""
    hidden = np.tanh(x @ first)
    output = (hidden * mask) @ second
    return hidden, output, np.sum((output - y) ** 2) / 2


def gradients(x, y, first, second, mask):
    hidden, output, _ = forward(x, y, first, second, mask)
    d_output = output - y
    d_second = (hidden * mask).T @ d_output  # rows of dropped units: zero already
    d_dropped = d_output @ second.T  # not zero, whether the unit was dropped or not
    d_hidden = d_dropped * mask  # so here the same mask comes again
    return x.T @ (d_hidden * (1 - hidden**2)), d_second


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(8, "tanh", use_bias=False), keras.layers.Dropout(0.5)]
    last = keras.layers.Dense(3, use_bias=False)
    model = keras.Sequential([keras.Input((20,)), *layers, last])
    model.compile(keras.optimizers.SGD(1.0), lambda y, out: keras.ops.sum((out - y) ** 2) / 2)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(1, 20)).astype("float32"), rng.normal(size=(1, 3)).astype("float32")

    before = model.get_weights()[:2]
    model.train_on_batch(x, y)  # a step of size one, so that it is the gradient
    steps = [old - new for old, new in zip(before, model.get_weights()[:2], strict=True)]
    mask = 2.0 * np.any(steps[1] != 0, axis=1)  # the mask that Keras drew
    by_hand = gradients(x, y, *before, mask)
    same = [np.allclose(a, b, atol=1e-4) for a, b in zip(by_hand, steps, strict=True)]
    print("some dropped, some kept:", 0 < np.count_nonzero(mask) < 8)
    #> some dropped, some kept: True
    print("the gradients by hand are those of Keras:", all(same))
    #> the gradients by hand are those of Keras: True
