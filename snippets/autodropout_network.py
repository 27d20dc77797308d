"""A small CNN with a shortcut, and what a trial suggests to drop in it, for many trials at once."""

import keras
import optuna
from keras import layers, ops

from autodropout import AutoDropout
from conv_layers_dropblock import DropBlock2D
from conv_layers_replicas import Convolution
from fair_comparison import dense

METHODS = ("Dropout", "SpatialDropout2D", "DropBlock2D", "AutoDropout")
SIDES = (8, 4)  # of the two feature maps: a layer behind each convolution


def drop(method, trial, side):
    """The layer that the trial suggests for a map of `side` by `side`, as `drop(x, shortcut)`."""
    if method == "AutoDropout":  # eight decisions
        size, gap = (trial.suggest_int(f"{key}_{side}", 0, side // 2) for key in ("size", "gap"))
        repeat = trial.suggest_int(f"repeat_{side}", 1, 3)
        choices = {"rotate": [0, 15, 30, 45], "share_c": [False, True], "residual": [False, True]}
        choices |= {"shear_x": [0.0, 0.5, 1.0], "shear_y": [0.0, 0.5, 1.0]}
        other = {k: trial.suggest_categorical(f"{k}_{side}", v) for k, v in choices.items()}
        return AutoDropout(size, max(size + gap, 1), repeat, **other)
    arguments = [trial.suggest_float(f"rate_{side}", 0.0, 0.8, step=0.1)]
    if method == "DropBlock2D":
        arguments.append(trial.suggest_int(f"block_size_{side}", 2, side - 1))
    kind = {"DropBlock2D": DropBlock2D}.get(method) or getattr(layers, method)
    layer = kind(*arguments)
    return lambda x, shortcut=0.0: layer(x) + shortcut


def network(replicas, drops):
    """Two convolutions, the second with a shortcut; each drop serves an equal share of replicas."""

    def each(drops, *maps):
        shape = (len(drops), -1, *maps[0].shape[1:])
        parts = zip(*(ops.unstack(ops.reshape(x, shape), len(drops)) for x in maps), strict=True)
        return ops.concatenate([d(*part) for d, part in zip(drops, parts, strict=True)])

    inputs = keras.Input((replicas, 64))
    x = ops.reshape(ops.swapaxes(inputs, 0, 1), (-1, 8, 8, 1))
    x = layers.AveragePooling2D(2)(each(drops[0], Convolution(replicas, 16)(x)))
    x = each(drops[1], Convolution(replicas, 16)(x), x)
    x = ops.swapaxes(ops.reshape(x, (replicas, -1, 256)), 0, 1)
    return [keras.Model(inputs, dense(replicas, 10)(x))]


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    trials = {method: optuna.create_study().ask() for method in ("DropBlock2D", "AutoDropout")}
    drops = [[drop(*trial, side) for trial in trials.items()] for side in SIDES]
    model = network(6, drops)[0]  # three replicas for each trial
    print("weights of a replica:", model.count_params() // 6, "output:", model.output_shape)
    #> weights of a replica: 5050 output: (None, 6, 10)
    print("decisions:", *(f"{method} {len(trial.params)}" for method, trial in trials.items()))
    #> decisions: DropBlock2D 4 AutoDropout 16
