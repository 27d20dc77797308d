"""Find dropout that is placed or called wrongly: `check_model(model)` takes any Keras model.

It reads the graph of Sequential and Functional models, across the borders of nested ones, and the
layers of subclassed ones, whose order it cannot see. It runs nothing and changes nothing.
"""

import inspect
import math
from typing import NamedTuple

import keras
from keras import layers

RECURRENT = layers.LSTM | layers.GRU | layers.SimpleRNN
MAX_POOLINGS = (
    *(layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D),
    *(layers.GlobalMaxPooling1D, layers.GlobalMaxPooling2D, layers.GlobalMaxPooling3D),
)
# a sum stays the same stream behind these
PASSING = (
    *(layers.Activation, layers.ReLU, layers.LeakyReLU, layers.PReLU, layers.ELU),
    *(layers.BatchNormalization, layers.LayerNormalization, layers.GroupNormalization),
)
# what these put out is no feature map any more, whatever stands in front
MIXING = {"Dense", "EinsumDense", "MultiHeadAttention", "Softmax", "Matmul", "Einsum", "Dot"}


class Finding(NamedTuple):
    layer: str  # its name, behind those of the models and layers that hold it
    what: str  # is wrong or risky
    see: str  # the question that explains it


def check_model(model):
    """The findings for a built model, as a list; ValueError if it is not built yet."""
    if not model.built:
        raise ValueError("build the model first: call it once, or give it an Input")
    names = _names(model)
    found = list(_check_call(model, names.values()))
    for name, layer in names.values():
        found += _check_layer(name, layer)
    opened = set()
    for _, part in names.values():
        graph = _graph_of(part)
        if graph and id(graph) not in opened:
            found += _check_graph(_Calls(graph, opened), names)
    order = [name for name, _ in names.values()]  # a shared layer is found more than once
    return sorted(dict.fromkeys(found), key=lambda finding: order.index(finding.layer))


def _names(layer, path="", found=None):
    """Every layer once, by its id: its name within the model, and itself."""
    found = {id(layer): (layer.name, layer)} if found is None else found
    for inner in layer._flatten_layers(include_self=False, recursive=False):
        if id(inner) not in found:
            found[id(inner)] = (f"{path}{inner.name}", inner)
            _names(inner, f"{path}{inner.name}/", found)
    return found


def _graph_of(layer):
    """The Functional model that holds a layer's graph; None for one without."""
    if isinstance(layer, keras.Sequential):
        return layer._functional
    return layer if isinstance(layer, keras.Model) and getattr(layer, "outputs", None) else None


def _rates(layer):
    """The numbers that say how much a layer drops, or how much noise it adds."""
    names = ["dropout", "recurrent_dropout"] if isinstance(layer, RECURRENT) else []
    if "Dropout" in type(layer).__name__ or "Noise" in type(layer).__name__:
        names = ["rate", "stddev"]
    values = [getattr(layer, name, 0) for name in names]
    return [float(v) for v in values if isinstance(v, int | float | keras.Variable)]


def _is_on(layer):
    return isinstance(layer, layers.Dropout) and max(_rates(layer), default=0) > 0


def _check_call(model, named):
    """The trainer passes `training` to the model that it trains only if its `call` names it."""
    takes_training = "training" in inspect.signature(model.call).parameters
    drops = any(max(_rates(layer), default=0) > 0 for _, layer in named)
    if drops and not takes_training and not _graph_of(model):
        what = "its call has no `training` argument, so fit cannot switch its dropout on"
        yield Finding(model.name, what, "training-or-inference")


def _check_layer(name, layer):
    """What a layer's own settings say."""
    rate = max(_rates(layer), default=0)
    if 0.8 <= rate <= 1 and not hasattr(layer, "stddev"):
        what = f"has the rate {rate:g}: is it meant as the share to keep?"
        yield Finding(name, what, "rate")
    if (
        isinstance(layer, layers.LSTM | layers.GRU)
        and layer.recurrent_dropout > 0
        and layer.activation is keras.activations.tanh  # what else the kernel wants
        and layer.recurrent_activation is keras.activations.sigmoid
        and layer.use_bias
        and not layer.unroll
        and getattr(layer, "reset_after", True)
    ):
        what = "recurrent_dropout gives up the fast cuDNN kernel of a GPU"
        yield Finding(name, what, "recurrent")
    if isinstance(layer, layers.LayerNormalization):
        shape = (layer.get_build_config() or {}).get("input_shape")
        axes = [layer.axis] if isinstance(layer.axis, int) else layer.axis
        if shape and math.prod(shape[axis] or 0 for axis in axes) == 1:
            what = "normalises over a single feature, so it puts out a constant"
            yield Finding(name, what, "timeseries-transformer")


def _check_graph(calls, names):
    """What stands around each layer of a graph says."""
    for call in calls:
        layer = _unwrapped(call)
        name = names[id(layer)][0] if id(layer) in names else ""  # an operation
        if name and call.arguments.kwargs.get("training"):
            what = "training=True in the graph: Keras 3.0 to 3.15 override it in predict"
            yield Finding(name, what, "training-or-inference")
        if not (name and _is_on(layer)):
            continue
        tensor, front = calls.inputs(call)[0], calls.maker(calls.inputs(call)[0])
        after = [_unwrapped(reader) for reader in calls.readers(call)]
        masks_elements = type(layer) is layers.Dropout and layer.noise_shape is None
        if any(isinstance(x, layers.BatchNormalization) and x.trainable for x in after):
            what = "stands before BatchNormalization, whose statistics then fit training only"
            yield Finding(name, what, "batch-norm")
        if masks_elements and calls.is_feature_map(tensor):
            what = "drops single elements of feature maps, whose neighbours say nearly the same"
            yield Finding(name, what, "conv-layers")
        if masks_elements and any(isinstance(x, MAX_POOLINGS) for x in after):
            what = "stands before max pooling, which picks the scaled survivors"
            yield Finding(name, what, "activation-order")
        if any(_is_on(x) and _kind(x) == _kind(layer) for x in after):
            what = "another Dropout follows: two act as one with a higher rate"
            yield Finding(name, what, "rate")
        if calls.is_stream(tensor) and calls.leads_to_sum(call):
            what = "stands behind a residual addition and cuts the identity path"
            yield Finding(name, what, "residual")
        if calls.is_output(call) and front and _is_softmax(_unwrapped(front)):
            what = "stands behind the softmax of the output and erases classes"
            yield Finding(name, what, "every-layer")
        if "int" in str(tensor.dtype) or any(isinstance(x, layers.Embedding) for x in after):
            yield Finding(name, "drops integer ids, which makes other ids of them", "input-layer")


def _unwrapped(call):
    layer = call.operation
    return layer.layer if isinstance(layer, layers.TimeDistributed) else layer


def _kind(layer):
    return type(layer), layer.noise_shape


def _is_softmax(layer):  # as a layer, as an operation, as an activation
    softmax = keras.activations.softmax
    return type(layer).__name__ == "Softmax" or getattr(layer, "activation", None) is softmax


class _Calls:
    """Every call in a model's graph, that of nested models as if they were not nested."""

    def __init__(self, model, opened):
        self.calls, self.stands_for, self.read = [], {}, {}
        self.opened = opened
        self._open(model)
        self.made = {id(tensor): call for call in self.calls for tensor in call.outputs}
        for call in self.calls:
            for tensor in self.inputs(call):
                self.read.setdefault(id(tensor), []).append(call)
        self.ends = {id(t) for tensor in model.outputs for t in self._resolve(tensor)}

    def __iter__(self):
        return iter(self.calls)

    def _open(self, model):
        self.opened.add(id(model))
        found, todo, starts = set(), list(model.outputs), {id(t) for t in model.inputs}
        while todo:
            tensor = todo.pop()
            history = tensor._keras_history
            call = history.operation._inbound_nodes[history.node_index]
            if id(tensor) in starts or id(call) in found:
                continue
            found.add(id(call))
            todo += call.input_tensors
            inner = _graph_of(call.operation)
            if inner is None:
                self.calls.append(call)
                continue
            for inside, outside in zip(inner.inputs, call.input_tensors, strict=False):
                self.stands_for.setdefault(id(inside), []).append(outside)
            for outside, inside in zip(call.outputs, inner.outputs, strict=True):
                self.stands_for[id(outside)] = [inside]
            if id(inner) not in self.opened:
                self._open(inner)

    def _resolve(self, tensor):
        """The tensors that one at the border of a nested model stands for; else itself."""
        found, todo, seen = [], [tensor], set()
        while todo:
            tensor = todo.pop()
            if id(tensor) not in seen:
                seen.add(id(tensor))
                further = self.stands_for.get(id(tensor))
                todo += further or []
                found += [] if further else [tensor]
        return found

    def inputs(self, call):
        return [t for tensor in call.input_tensors for t in self._resolve(tensor)]

    def maker(self, tensor):
        return self.made.get(id(tensor))

    def readers(self, call):
        return [reader for tensor in call.outputs for reader in self.read.get(id(tensor), [])]

    def is_output(self, call):
        return any(id(tensor) in self.ends for tensor in call.outputs)

    def ancestors(self, tensor):
        found, todo = {id(tensor)}, [tensor]
        while todo:
            call = self.maker(todo.pop())
            for above in self.inputs(call) if call else []:
                if id(above) not in found:
                    found.add(id(above))
                    todo.append(above)
        return found

    def is_feature_map(self, tensor):
        """Whether a convolution or a pooling made it, and more than one pixel is left."""
        todo, seen = [tensor], set()
        while todo and len(tensor.shape) > 3:
            call = self.maker(todo.pop())
            if call is None or id(call) in seen:
                continue
            seen.add(id(call))
            layer = _unwrapped(call)
            if "Conv" in type(layer).__name__ or "Pool" in type(layer).__name__:
                first = getattr(layer, "data_format", None) == "channels_first"
                pixels = tensor.shape[2:] if first else tensor.shape[1:-1]
                return any(n is None or n > 1 for n in pixels)
            if type(layer).__name__ not in MIXING:
                todo += self.inputs(call)
        return False

    def is_residual_sum(self, call):
        """Whether its parts come from one tensor, and are not embeddings of the same ids."""
        if type(call.operation).__name__ != "Add":  # the layer and the `+` of two tensors
            return False
        parts = self.inputs(call)
        makers = [type(m.operation).__name__ for m in map(self.maker, parts) if m]
        shared = set.intersection(*map(self.ancestors, parts)) if len(parts) > 1 else set()
        return bool(shared) and not any("Embedding" in maker for maker in makers)

    def is_stream(self, tensor):
        """Whether a residual sum goes this way and no other, perhaps through norm or activation."""
        while len(self.read.get(id(tensor), [])) == 1 and (call := self.maker(tensor)):
            if self.is_residual_sum(call):
                return True
            if not isinstance(call.operation, PASSING):
                break
            tensor = self.inputs(call)[0]
        return False

    def leads_to_sum(self, call):
        """Whether a residual sum follows, so that this is not the head."""
        found, todo = {}, [call]
        while todo:
            for reader in self.readers(todo.pop()):
                if id(reader) not in found:
                    found[id(reader)] = reader
                    todo.append(reader)
        return any(map(self.is_residual_sum, found.values()))


def example():
    """A model with every mistake that a graph shows."""
    image, ids = keras.Input((28, 28, 1)), keras.Input((6,))
    x = layers.Conv2D(8, 3)(layers.Dropout(0.1, name="on_pixels")(image))  # which is no mistake
    x = layers.Dropout(0.25, name="on_maps")(layers.ReLU()(x))
    x = layers.Flatten()(layers.MaxPooling2D()(x))
    x = layers.Dense(8)(x)
    x = layers.Dropout(0.5, name="before_norm")(x, training=True)
    x = layers.BatchNormalization()(x)
    x = layers.Dropout(0.1, name="behind_sum")(layers.ReLU()(x + layers.Dense(8)(x)))
    x = x + layers.Dense(8)(x)
    words = layers.Embedding(50, 1)(layers.Dropout(0.8, name="on_ids")(ids))
    words = layers.LayerNormalization(name="norm")(words)
    words = layers.LSTM(8, recurrent_dropout=0.2, name="lstm")(words)
    twice = [keras.Input((8,)), layers.Dropout(0.1, name="twice"), layers.Dense(10)]
    x = keras.Sequential(twice, name="head")(layers.Dropout(0.1, name="once")(x * words))
    x = layers.Softmax()(x)
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
        #> on_maps: drops single elements of feature maps, whose neighbours say nearly the same
        #> on_maps: stands before max pooling, which picks the scaled survivors
        #> before_norm: training=True in the graph: Keras 3.0 to 3.15 override it in predict
        #> before_norm: stands before BatchNormalization, whose statistics then fit training only
        #> on_ids: has the rate 0.8: is it meant as the share to keep?
        #> on_ids: drops integer ids, which makes other ids of them
        #> behind_sum: stands behind a residual addition and cuts the identity path
        #> norm: normalises over a single feature, so it puts out a constant
        #> lstm: recurrent_dropout gives up the fast cuDNN kernel of a GPU
        #> once: another Dropout follows: two act as one with a higher rate
        #> at_the_end: stands behind the softmax of the output and erases classes

    model = Subclassed()
    try:
        check_model(model)
    except ValueError as error:
        print(error)
        #> build the model first: call it once, or give it an Input
    model(keras.ops.ones((2, 8)))
    print(check_model(model)[0].what)
    #> its call has no `training` argument, so fit cannot switch its dropout on

    good = keras.Sequential(
        [keras.Input((8,)), layers.Dense(8), layers.Dropout(0.5), layers.Dense(2)]
    )
    print("findings:", len(check_model(good)))
    #> findings: 0
