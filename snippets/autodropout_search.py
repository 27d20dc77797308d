"""Search AutoDropout's patterns, or the rates of its rivals, with Optuna.

Usage: python autodropout_search.py [method] [rounds] [storage]
Eight trials train as one model. The storage is a file on a disk that all machines share, or a
database's address: the same command on each of them adds its rounds to one search.
"""

import sys

import keras
import optuna
from keras import layers, ops
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from autodropout import AutoDropout
from conv_layers_dropblock import DropBlock2D
from conv_layers_replicas import Convolution
from fair_comparison import dense, digits, evaluate

METHODS = ("Dropout", "SpatialDropout2D", "DropBlock2D", "AutoDropout")
SIDES = (8, 4)  # of the two feature maps: a layer behind each convolution


def drop(method, trial, side):
    """The layer that the trial suggests for a map of `side` by `side`, as `drop(x, shortcut)`."""
    if method == "AutoDropout":  # eight decisions
        size, gap = (trial.suggest_int(f"{key}_{side}", 0, side // 2) for key in ("size", "gap"))
        geometry = {"rotate": (0, 45, 15), "shear_x": (-1, 1, 0.5), "shear_y": (-1, 1, 0.5)}
        tokens = {k: trial.suggest_float(f"{k}_{side}", *v[:2], step=v[2]) for k, v in geometry.items()}
        for key in ("share_c", "residual"):
            tokens[key] = trial.suggest_categorical(f"{key}_{side}", [False, True])
        return AutoDropout(size, max(size + gap, 1), trial.suggest_int(f"repeat_{side}", 1, 3), **tokens)
    arguments = [trial.suggest_float(f"rate_{side}", 0.0, 0.8, step=0.1)]
    if method == "DropBlock2D":
        arguments.append(trial.suggest_int(f"block_size_{side}", 2, side - 1))
    layer = {"DropBlock2D": DropBlock2D}.get(method) or getattr(layers, method)
    return lambda x, shortcut=0.0, layer=layer(*arguments): layer(x) + shortcut


def network(replicas, drops):
    """Two convolutions, the second with a shortcut; each drop serves an equal share of replicas."""

    def each(drops, *maps):
        shape = (len(drops), -1, *maps[0].shape[1:])
        parts = zip(*(ops.unstack(ops.reshape(x, shape), len(drops)) for x in maps), strict=True)
        return ops.concatenate([d(*part) for d, part in zip(drops, parts, strict=True)])

    inputs = keras.Input((replicas, 64))
    x = ops.reshape(ops.swapaxes(inputs, 0, 1), (-1, 8, 8, 1))
    x = layers.AveragePooling2D()(each(drops[0], Convolution(replicas, 16)(x)))
    x = each(drops[1], Convolution(replicas, 16)(x), x)
    x = ops.swapaxes(ops.reshape(x, (replicas, -1, 256)), 0, 1)
    return [keras.Model(inputs, dense(replicas, 10)(x))]
