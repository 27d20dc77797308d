"""Which layers are random while a function runs? Works on a training step of your own, too."""

import inspect
import sys
from unittest.mock import Mock, patch

import keras
import numpy as np


def takes_training(layer):
    return "training" in inspect.signature(layer.call).parameters


def different(*outputs):
    pairs = zip(*(keras.tree.flatten(output) for output in outputs), strict=True)
    return any(not np.array_equal(*map(keras.ops.convert_to_numpy, pair)) for pair in pairs)


def acting(model, run, force=False):
    """Call `run`: {layer: is its output random?} for each layer that draws random numbers in it.

    With `force`, every layer is told to train.
    """
    call, stack, drew, found = keras.layers.Layer.__call__, ["model"], {}, {}

    def watched(layer, *args, **kwargs):
        kwargs |= {"training": True} if takes_training(layer) and force else {}
        stack.append("model" if layer is model else f"{stack[-1]}/{layer.name}")
        out = call(layer, *args, **kwargs)
        if stack[-1] in drew:  # to no effect, perhaps: is the output another one the next time?
            found[stack[-1]] = different(out, call(layer, *args, **kwargs))
        stack.pop()
        return out

    def noted(draw):
        def noting(*args, **kwargs):
            drew[stack[-1]] = True
            return draw(*args, **kwargs)

        return noting

    seed, torch = keras.random.SeedGenerator, sys.modules.get("torch", Mock()).nn.functional
    with (
        patch.object(keras.layers.Layer, "__call__", watched),
        patch.object(seed, "next", noted(seed.next)),  # all random functions of Keras ask it
        patch.object(torch, "dropout", noted(torch.dropout)),  # except for this one
    ):
        run()
    return drew | found  # in the order of the calls


if __name__ == "__main__":
    model = keras.Sequential([keras.layers.Dense(8), keras.layers.Dropout(0.5, name="dropout")])
    x, y = keras.ops.ones((4, 8)), keras.ops.zeros((4, 8))

    def forgetful_step():
        return keras.losses.mean_squared_error(y, model(x))

    def step():
        return keras.losses.mean_squared_error(y, model(x, training=True))

    print("forgetful:", acting(model, forgetful_step), "careful:", acting(model, step))
    #> forgetful: {} careful: {'model/dropout': True}
