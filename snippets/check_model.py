"""Find dropout that is placed or called wrongly: `check_model(model)` takes any Keras model.

It reads the graph of Sequential and Functional models, nested ones included, and the layers of
subclassed ones, whose order it cannot see. It runs nothing and changes nothing.
"""

import inspect
import math
from typing import NamedTuple

import keras
from keras import layers

MAX_POOLINGS = (
    *(layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D),
    *(layers.GlobalMaxPooling1D, layers.GlobalMaxPooling2D, layers.GlobalMaxPooling3D),
)


class Finding(NamedTuple):
    layer: str  # its name
    what: str  # is wrong or risky
    see: str  # the question that explains it


def check_model(model):
    """The findings for a built model, as a list; ValueError if it is not built yet."""
    if not model.built:
        raise ValueError("build the model first: call it once, or give it an Input")
    found = []
    for part in (model, *model._flatten_layers(include_self=False)):
        found += _check_layer(part)
        if isinstance(part, keras.Sequential):
            part = part._functional or part  # which keeps the graph
        if getattr(part, "outputs", None):
            found += _check_graph(part)
    return list(dict.fromkeys(found))  # a shared layer counts once


def _is_on(layer):
    return isinstance(layer, layers.Dropout) and layer.rate > 0


def _check_layer(layer):
    """What a layer's own settings say."""
    if getattr(layer, "rate", 0) >= 0.8 and "Dropout" in type(layer).__name__:
        yield Finding(
            layer.name, f"drops {layer.rate:.0%}: is the rate meant as the share to keep?", "rate"
        )
    if isinstance(layer, layers.LSTM | layers.GRU) and layer.recurrent_dropout > 0:
        yield Finding(
            layer.name, "recurrent_dropout gives up the fast cuDNN kernel of a GPU", "recurrent"
        )
    if isinstance(layer, layers.LayerNormalization):
        weights = layer.weights  # gamma and beta, of the shape that it normalises over
        if weights and math.prod(weights[0].shape) == 1:
            what = "normalises over a single feature, so it puts out a constant"
            yield Finding(layer.name, what, "timeseries-transformer")
    # the trainer passes `training` to a subclassed model only if its `call` names it
    is_subclassed = isinstance(layer, keras.Model) and not getattr(layer, "outputs", None)
    drops = any(_is_on(inner) for inner in layer._flatten_layers(include_self=False))
    if is_subclassed and drops and not _names_training(layer):
        what = "its call has no `training` argument, so fit trains with dropout off"
        yield Finding(layer.name, what, "training-or-inference")


def _names_training(layer):
    kinds = inspect.signature(layer.call).parameters
    return "training" in kinds or any(p.kind is p.VAR_KEYWORD for p in kinds.values())


def _check_graph(model):
    """What stands around each layer of a graph says."""
    nodes = _nodes(model)
    outputs = {id(tensor) for tensor in model.outputs}
    readers = {}  # of each tensor: the nodes that take it
    for node in nodes:
        for tensor in node.input_tensors:
            readers.setdefault(id(tensor), []).append(node)
    for node in nodes:
        layer, behind = node.operation, [n for t in node.outputs for n in readers.get(id(t), [])]
        if node.arguments.kwargs.get("training") and isinstance(layer, keras.Layer):
            what = (
                "training=True in the graph: Keras 3.0 to 3.15 override it in predict"
            )
            yield Finding(layer.name, what, "training-or-inference")
        if not _is_on(layer):
            continue
        tensor = node.input_tensors[0]
        front = tensor._keras_history.operation
        after = [n.operation for n in behind]
        masks_elements = type(layer) is layers.Dropout and layer.noise_shape is None
        if any(isinstance(x, layers.BatchNormalization) for x in after):
            what = (
                "stands before BatchNormalization, whose statistics then fit training only"
            )
            yield Finding(layer.name, what, "batch-norm")
        if (
            masks_elements
            and len(tensor.shape) > 3
            and any(n is None or n > 1 for n in tensor.shape[1:-1])
        ):
            what = "drops single elements of feature maps, whose neighbours say nearly the same"
            yield Finding(layer.name, what, "conv-layers")
        if masks_elements and any(isinstance(x, MAX_POOLINGS) for x in after):
            yield Finding(
                layer.name,
                "stands before max pooling, which picks the scaled survivors",
                "activation-order",
            )
        if any(_is_on(x) for x in after):
            yield Finding(
                layer.name, "another Dropout follows: two act as one with a higher rate", "rate"
            )
        if _is_residual(node.input_tensors[0]):
            what = "stands behind a residual addition and cuts the identity path"
            yield Finding(layer.name, what, "residual")
        is_softmax = (
            isinstance(front, layers.Softmax)
            or getattr(front, "activation", None) is keras.activations.softmax
        )
        if is_softmax and any(id(t) in outputs for t in node.outputs):
            yield Finding(
                layer.name,
                "stands behind the softmax of the output and erases classes",
                "every-layer",
            )
        if "int" in str(tensor.dtype) or any(isinstance(x, layers.Embedding) for x in after):
            yield Finding(
                layer.name, "drops integer ids, which makes other ids of them", "input-layer"
            )


def _nodes(model):
    """Every call in a model's graph, from its outputs back to its inputs."""
    found, todo, ends = {}, list(model.outputs), {id(t) for t in model.inputs}
    while todo:
        tensor = todo.pop()
        history = tensor._keras_history
        node = history.operation._inbound_nodes[history.node_index]
        if id(tensor) not in ends and id(node) not in found:
            found[id(node)] = node
            todo += node.input_tensors
    return list(found.values())


def _is_residual(tensor):
    """Whether a tensor is a sum of which one part was computed from the other."""
    history = tensor._keras_history
    if type(history.operation).__name__ != "Add":  # the layer and the `+` of two tensors
        return False
    parts = history.operation._inbound_nodes[history.node_index].input_tensors
    return any(id(a) in _ancestors(b) for a in parts for b in parts if a is not b)


def _ancestors(tensor):
    found, todo = set(), [tensor]
    while todo:
        history = todo.pop()._keras_history
        for above in history.operation._inbound_nodes[history.node_index].input_tensors:
            if id(above) not in found:
                found.add(id(above))
                todo.append(above)
    return found


def example():
    """A model with every mistake that a graph shows."""
    image, ids = keras.Input((28, 28, 1)), keras.Input((6,))
    x = layers.Conv2D(8, 3, activation="relu")(image)
    x = layers.Dropout(0.25, name="on_maps")(x)
    x = layers.Flatten()(layers.MaxPooling2D()(x))
    x = layers.Dense(8)(x)
    x = layers.Dropout(0.5, name="before_norm")(x, training=True)
    x = layers.BatchNormalization()(x)
    x = layers.Dropout(0.1, name="behind_sum")(x + layers.Dense(8)(x))
    words = layers.Embedding(50, 1)(layers.Dropout(0.8, name="on_ids")(ids))
    words = layers.LayerNormalization(name="norm")(words)
    words = layers.LSTM(8, recurrent_dropout=0.2, name="lstm")(words)
    x = layers.Dropout(0.1, name="twice")(layers.Dropout(0.1, name="once")(x * words))
    x = layers.Dense(10, activation="softmax")(x)
    return keras.Model([image, ids], layers.Dropout(0.1, name="at_the_end")(x))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dropout = layers.Dropout(0.5)

    def call(self, x):  # no `training`
        return self.dropout(x)


if __name__ == "__main__":
    for finding in check_model(example()):
        print(f"{finding.layer}: {finding.what}")
        #> at_the_end: stands behind the softmax of the output and erases classes
        #> once: another Dropout follows: two act as one with a higher rate
        #> on_ids: drops integer ids, which makes other ids of them
        #> behind_sum: stands behind a residual addition and cuts the identity path
        #> before_norm: training=True in the graph: Keras 3.0 to 3.15 override it in predict
        #> before_norm: stands before BatchNormalization, whose statistics then fit training only
        #> on_maps: drops single elements of feature maps, whose neighbours say nearly the same
        #> on_maps: stands before max pooling, which picks the scaled survivors
        #> on_ids: drops 80%: is the rate meant as the share to keep?
        #> norm: normalises over a single feature, so it puts out a constant
        #> lstm: recurrent_dropout gives up the fast cuDNN kernel of a GPU

    model = Subclassed()
    try:
        check_model(model)
    except ValueError as error:
        print(error)
        #> build the model first: call it once, or give it an Input
    model(keras.ops.ones((2, 8)))
    print(check_model(model)[0].what)
    #> its call has no `training` argument, so fit trains with dropout off

    good = keras.Sequential(
        [keras.Input((8,)), layers.Dense(8), layers.Dropout(0.5), layers.Dense(2)]
    )
    print("findings:", len(check_model(good)))
    #> findings: 0
