"""What in my model is dropout placed or called wrongly for?"""

import keras
import numpy as np
import pytest
from check_model import check_model
from keras import layers

numpy = keras.ops.convert_to_numpy


def functional(shape, build, dtype=None):
    inputs = keras.Input(shape, dtype=dtype)
    return keras.Model(inputs, build(inputs))


def chain(shape, *parts, dtype=None):
    def build(x):
        for part in parts:
            x = part(x)
        return x

    return functional(shape, build, dtype)


class Passes(keras.Model):
    """A subclassed model that takes `training` and passes it on."""

    def __init__(self, rate=0.5):
        super().__init__()
        self.hidden, self.dropout = layers.Dense(4), layers.Dropout(rate)

    def call(self, x, training=None):
        return self.dropout(self.hidden(x), training=training)


class Forgets(Passes):
    def call(self, x):
        return self.dropout(self.hidden(x))


def built(model):
    model(np.zeros((2, 8), "float32"))
    return model


def residual(place):
    def build(x):
        branch = layers.Dense(8, activation="relu")(x)
        if place == "before":
            return layers.Dense(2)(x + layers.Dropout(0.1)(branch))
        x = layers.Dropout(0.1)(layers.Add()([x, branch]))
        return layers.Dense(2)(x + layers.Dense(8)(x))

    return functional((8,), build)


def embedded(place):
    def build(ids):
        if place == "before":
            ids = layers.Dropout(0.2)(ids)
        x = layers.Embedding(50, 8)(ids)
        return layers.GlobalAveragePooling1D()(x if place == "before" else layers.Dropout(0.2)(x))

    return functional((6,), build, dtype="int32" if place == "behind" else "float32")


def summed(x):
    """Embedding and position, neither of which is made of the other, and dropout on their sum, as it should be."""
    position = layers.Embedding(6, 8)(keras.ops.arange(6))
    return layers.Dropout(0.1)(layers.Embedding(50, 8)(x) + position)


TWINS = {  # the question that explains it → what it says, the bad twin, the good one
    "batch-norm": (
        "before BatchNormalization",
        lambda: chain((8,), layers.Dense(4), layers.Dropout(0.5), layers.BatchNormalization()),
        lambda: chain((8,), layers.Dense(4), layers.BatchNormalization(), layers.Dropout(0.5)),
    ),
    "conv-layers": (
        "elements of feature maps",
        lambda: chain((8, 8, 3), layers.Conv2D(4, 3), layers.Dropout(0.2), layers.Flatten()),
        lambda: chain((8, 8, 3), layers.Conv2D(4, 3), layers.SpatialDropout2D(0.2), layers.Flatten()),
    ),
    "residual": ("residual addition", lambda: residual("behind"), lambda: residual("before")),
    "every-layer": (
        "softmax",
        lambda: chain((8,), layers.Dense(4, activation="softmax"), layers.Dropout(0.2)),
        lambda: chain((8,), layers.Dropout(0.2), layers.Dense(4, activation="softmax")),
    ),
    "input-layer": ("integer ids", lambda: embedded("before"), lambda: embedded("behind")),
    "activation-order": (
        "before max pooling",
        lambda: chain((8, 3), layers.Conv1D(4, 3), layers.Dropout(0.2), layers.MaxPooling1D()),
        lambda: chain((8, 3), layers.Conv1D(4, 3), layers.MaxPooling1D(), layers.Dropout(0.2)),
    ),
    "two in a row": (
        "another Dropout follows",
        lambda: chain((8,), layers.Dense(4), layers.Dropout(0.2), layers.Dropout(0.3)),
        lambda: chain((8,), layers.Dense(4), layers.Dropout(0.44)),
    ),
    "rate": (
        "share to keep",
        lambda: chain((8,), layers.Dense(4), layers.Dropout(0.8), layers.Dense(2)),
        lambda: chain((8,), layers.Dense(4), layers.Dropout(0.2), layers.Dense(2)),
    ),
    "timeseries-transformer": (
        "single feature",
        lambda: chain((20, 1), layers.LayerNormalization()),
        lambda: chain((20, 1), layers.Dense(16), layers.LayerNormalization()),
    ),
    "no training argument": ("no `training`", lambda: built(Forgets()), lambda: built(Passes())),
    "recurrent": (
        "cuDNN",
        lambda: chain((20, 4), layers.LSTM(4, recurrent_dropout=0.1)),
        lambda: chain((20, 4), layers.LSTM(4, dropout=0.1)),
    ),
    "training-or-inference": (
        "in the graph: Keras",
        lambda: functional((8,), lambda x: layers.Dropout(0.5)(x, training=True)),
        lambda: functional((8,), lambda x: layers.Dropout(0.5)(x)),
    ),
}


@pytest.mark.parametrize("name", TWINS)
def test_each_mistake_is_found_and_its_good_twin_is_not(claim, name):
    """Each of the twelve mistakes is found in a small model that makes it, and in the same model without it nothing
    is."""
    words, bad, good = TWINS[name]
    found = check_model(bad())
    label = name.replace(" ", "_").replace("-", "_")
    claim.exact(f"findings_of_{label}", len(found), 1)
    claim.exact(f"found_{label}", words in found[0].what, True)
    claim.exact(f"findings_of_the_good_twin_of_{label}", len(check_model(good())), 0)


@pytest.mark.parametrize("name", ["batch-norm", "rate", "two in a row"])
def test_sequential_and_nested_models_are_read_as_well(claim, name):
    """The same mistake is found when the model is Sequential, and when it stands inside another model."""
    words, bad, _ = TWINS[name]
    label = name.replace(" ", "_").replace("-", "_")
    sequential = keras.Sequential(
        [keras.Input((8,)), *[x for x in bad().layers if not isinstance(x, layers.InputLayer)]]
    )
    claim.exact(f"{label}_sequential", [words in f.what for f in check_model(sequential)], [True])
    outer = chain((8,), bad(), layers.Dense(2))
    claim.exact(f"{label}_nested", [words in f.what for f in check_model(outer)], [True])


def sequential(*parts):
    return keras.Sequential(list(parts))


def blocks(between):
    """Two residual blocks, and between them what `between` makes of a stream and its first branch."""

    def build(x):
        x = between(x, layers.Dense(8, activation="relu")(x))
        return layers.Dense(2)(x + layers.Dense(8)(x))

    return functional((8,), build)


BORDERS = {  # what it says → a model in which the mistake lies across the border of a nested model
    "before BatchNormalization": lambda: chain(
        (8,), sequential(keras.Input((8,)), layers.Dense(4), layers.Dropout(0.5)), layers.BatchNormalization()
    ),
    "another Dropout follows": lambda: chain(
        (8,),
        sequential(keras.Input((8,)), layers.Dense(4), layers.Dropout(0.5)),
        sequential(keras.Input((4,)), layers.Dropout(0.5), layers.Dense(4)),
    ),
    "softmax": lambda: sequential(TWINS["every-layer"][2](), layers.Dropout(0.2)),
    "residual addition": lambda: functional(
        (8,), lambda x: residual("before")(sequential(keras.Input((8,)), layers.Dropout(0.1))(x + layers.Dense(8)(x)))
    ),
}


@pytest.mark.parametrize("words", BORDERS)
def test_the_border_of_a_nested_model_hides_nothing(claim, words):
    """What stands in front of a Dropout, or behind it, is found on the other side of a nested model's border, too."""
    label = words.replace(" ", "_")
    claim.exact(f"found_{label}", [words in f.what for f in check_model(BORDERS[words]())], [True])


class VariableDropout(layers.Layer):
    """A layer of one's own whose rate is a weight."""

    def build(self, shape):
        self.rate = self.add_weight(shape=(), initializer=keras.initializers.Constant(0.85), trainable=False)

    def call(self, x):
        return x


class ScheduledDropout(layers.Layer):
    """And one whose `rate` is no number."""

    rate = "slow"

    def call(self, x):
        return x


class TakesAnything(Passes):
    def call(self, x, **kwargs):
        return self.dropout(self.hidden(x))


class ForgetsNoise(keras.Model):
    def __init__(self):
        super().__init__()
        self.noise, self.recurrent = layers.GaussianNoise(1.0), layers.LSTM(4, dropout=0.5)

    def call(self, x):
        return self.recurrent(keras.ops.expand_dims(self.noise(x), -1))


VARIANTS = {  # another form of a mistake → what it says, the model
    "softmax as an operation": (
        "softmax",
        lambda: functional((8,), lambda x: layers.Dropout(0.2)(keras.ops.softmax(x))),
    ),
    "softmax as an Activation": (
        "softmax",
        lambda: chain((8,), layers.Dense(4), layers.Activation("softmax"), layers.Dropout(0.2)),
    ),
    "maps behind norm and activation": (
        "elements of feature maps",
        lambda: chain((8, 8, 3), layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU(), layers.Dropout(0.2)),
    ),
    "Dropout in TimeDistributed": (
        "before BatchNormalization",
        lambda: chain((5, 8), layers.TimeDistributed(layers.Dropout(0.2)), layers.BatchNormalization()),
    ),
    "two that share their masks": (
        "another Dropout follows",
        lambda: chain((5, 8), layers.SpatialDropout1D(0.2), layers.SpatialDropout1D(0.2)),
    ),
    "sum behind an activation": (
        "residual addition",
        lambda: blocks(lambda x, branch: layers.Dropout(0.1)(layers.ReLU()(x + branch))),
    ),
    "sum behind a norm": (
        "residual addition",
        lambda: blocks(lambda x, branch: layers.Dropout(0.1)(layers.LayerNormalization()(x + branch))),
    ),
    "sum with a projection": (
        "residual addition",
        lambda: blocks(lambda x, branch: layers.Dropout(0.1)(layers.Dense(8)(x) + branch)),
    ),
    "rate of a recurrent layer": ("share to keep", lambda: chain((5, 8), layers.LSTM(4, dropout=0.9))),
    "rate of Gaussian noise": ("share to keep", lambda: chain((8,), layers.GaussianDropout(0.9))),
    "rate in a variable": ("share to keep", lambda: chain((8,), VariableDropout())),
    "norm without weights": (
        "single feature",
        lambda: chain((20, 1), layers.LayerNormalization(center=False, scale=False)),
    ),
    "call that takes anything": ("no `training`", lambda: built(TakesAnything())),
    "noise and recurrent dropout": ("no `training`", lambda: built(ForgetsNoise())),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_other_forms_of_the_mistakes_are_found(claim, name):
    """A mistake is found in its other forms, too: a softmax that is an operation, a sum behind a norm, the rate of a
    recurrent layer or of one's own, a `call` that takes any keyword."""
    words, bad = VARIANTS[name]
    claim.exact(f"found_{name.replace(' ', '_')}", [words in f.what for f in check_model(bad())], [True])


class PositionEmbedding(layers.Layer):
    """Learned positions, made from the tokens' shape alone, as KerasHub has them."""

    def build(self, shape):
        self.table = self.add_weight(shape=shape[1:], name="table")

    def call(self, x):
        return keras.ops.broadcast_to(self.table, keras.ops.shape(x))


def attention(x):
    """Written by hand, with dropout on the weights behind the softmax."""
    q, k, v = [layers.Reshape((6, 2, 4))(layers.Dense(8)(x)) for _ in range(3)]
    scores = keras.ops.einsum("bqhd,bkhd->bhqk", q, k)
    weights = layers.Dropout(0.1)(layers.Softmax()(scores))
    return layers.Reshape((6, 8))(keras.ops.einsum("bhqk,bkhd->bqhd", weights, v))


def positions(ids):
    tokens = layers.Embedding(50, 8)(ids)
    return attention(layers.Dropout(0.1)(tokens + PositionEmbedding()(tokens)))


def preactivation(x):
    """Norm and activation before the weights, and Dropout in the branch: the identity path stays whole."""
    for _ in range(2):
        branch = layers.ReLU()(layers.BatchNormalization()(x))
        x = x + layers.Dense(8)(layers.Dropout(0.1)(branch))
    return x


def pooled(x):
    """A pooling that leaves one pixel, with the channels first."""
    pool = layers.GlobalAveragePooling2D(data_format="channels_first", keepdims=True)
    return layers.Flatten()(layers.Dropout(0.2)(pool(x)))


def frozen(x):
    norm = layers.BatchNormalization()
    norm.trainable = False
    return norm(layers.Dropout(0.5)(layers.Dense(4)(x)))


GOOD = {  # what is right, or no mistake of ours → the model
    "attention by hand": lambda: functional((6, 8), attention),
    "learned positions": lambda: functional((6,), positions, dtype="int32"),
    "MLP on a map": lambda: chain((7, 7, 8), layers.Dense(16, activation="gelu"), layers.Dropout(0.1), layers.Dense(8)),
    "one pixel": lambda: functional((3, 8, 8), pooled),
    "pre-activation": lambda: functional((8,), preactivation),
    "the head behind the last sum": lambda: functional(
        (8,), lambda x: layers.Dense(2)(layers.Dropout(0.2)(x + layers.Dense(8)(x)))
    ),
    "dropout, then drop path": lambda: chain(
        (6, 8), layers.Dense(8), layers.Dropout(0.1), layers.Dropout(0.2, noise_shape=(None, 1, 1)), layers.Dense(8)
    ),
    "frozen BatchNormalization": lambda: functional((8,), frozen),
    "a subclassed model inside": lambda: chain((8,), Forgets(), layers.Dense(2)),
    "no cuDNN kernel anyway": lambda: chain((5, 8), layers.LSTM(4, activation="relu", recurrent_dropout=0.2)),
    "a rate that is no number": lambda: chain((8,), ScheduledDropout()),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_is_right_passes(claim, name):
    """Models that look like a mistake and are none have no findings: attention written by hand, learned positions, a
    pre-activation block, a head behind the last sum, dropout followed by drop path, and six more."""
    claim.exact(f"findings_{name.replace(' ', '_')}", len(check_model(GOOD[name]())), 0)


def test_inside_another_model_training_arrives_all_the_same(claim):
    """A subclassed model whose `call` has no `training` argument drops all the same when it is part of a Functional
    model that is called with `training=True`; on its own it does not."""
    x = np.ones((64, 8), "float32")
    inner = built(Forgets())
    outer = chain((8,), inner)
    before, after = numpy(inner(x)), numpy(outer(x, training=True))
    claim.exact("zeros_on_its_own", bool((before == 0).any()), False)
    claim.exact("zeros_inside", bool((after == 0).any()), True)


def test_layers_are_named_with_those_that_hold_them(claim):
    """A layer is named with the layer or the model that holds it: “{inside}”."""
    attention = layers.MultiHeadAttention(2, 4, dropout=0.9, name="attention")
    block = functional((6, 8), lambda x: attention(x, x))
    block.name = "block"
    claim.exact("inside", check_model(chain((6, 8), block))[0].layer.rpartition("_")[0], "block/attention/dropout")


# one of each family, small, with the head where dropout may be
APPLICATIONS = {
    "VGG16": 32,
    "ResNet50V2": 32,
    "MobileNetV2": 32,
    "MobileNetV3Small": 32,
    "DenseNet121": 32,
    "EfficientNetB0": 32,
    "InceptionV3": 75,
    "Xception": 71,
    "ConvNeXtTiny": 32,
}


def test_models_of_keras_applications_have_no_findings(claim):
    """In nine families of `keras.applications`, built without weights, it finds nothing: no false alarm."""
    counts = {}
    for name, side in APPLICATIONS.items():
        model = getattr(keras.applications, name)(weights=None, input_shape=(side, side, 3), classes=10)
        counts[name] = len(check_model(model))
        keras.utils.clear_session()
    claim.exact("models", len(counts), 9)
    claim.exact("findings", sum(counts.values()), 0)


def test_a_correct_transformer_block_has_no_findings(claim):
    """Dropout on the sum of embeddings and positions, on each branch before the addition, and inside attention is
    right: it finds nothing."""

    def block(x):
        attended = layers.MultiHeadAttention(2, 4, dropout=0.1)(x, x)
        x = layers.LayerNormalization()(x + layers.Dropout(0.1)(attended))
        return layers.LayerNormalization()(x + layers.Dropout(0.1)(layers.Dense(8)(x)))

    model = functional((6,), lambda ids: block(block(summed(ids))), dtype="int32")
    claim.exact("findings", len(check_model(model)), 0)


def test_layers_inside_wrappers_are_read(claim):
    """Inside a `Bidirectional` it finds both directions' `recurrent_dropout`."""
    model = chain((20, 4), layers.Bidirectional(layers.GRU(4, recurrent_dropout=0.1)))
    claim.exact("findings", [f.see for f in check_model(model)], ["recurrent", "recurrent"])


def test_what_the_model_does_is_left_as_it_is(claim):
    """It runs nothing and changes nothing: weights, seeds of the layers and predictions are the same afterwards."""
    keras.utils.set_random_seed(0)
    model = TWINS["batch-norm"][1]()
    x = np.random.default_rng(0).normal(size=(4, 8)).astype("float32")
    before = [numpy(model(x)), *(numpy(v).copy() for v in model.variables)]
    check_model(model)
    after = [numpy(model(x)), *(numpy(v) for v in model.variables)]
    claim.exact("variables", len(before) - 1, len(model.variables))
    claim.exact("same", all(np.array_equal(a, b) for a, b in zip(before, after, strict=True)), True)


def test_it_wants_a_built_model(claim):
    """A model that is not built yet is refused: “{message}”."""
    with pytest.raises(ValueError) as error:
        check_model(keras.Sequential([layers.Dense(2), layers.Dropout(0.5)]))
    claim.exact("message", str(error.value), "build the model first: call it once, or give it an Input")


def test_a_subclassed_model_hides_its_order(claim):
    """In a subclassed model it sees the layers and not their order: Dropout in front of BatchNormalization passes."""

    class Hidden(keras.Model):
        def __init__(self):
            super().__init__()
            self.parts = [layers.Dense(4), layers.Dropout(0.5), layers.BatchNormalization()]

        def call(self, x, training=None):
            for part in self.parts:
                x = part(x, training=training) if not isinstance(part, layers.Dense) else part(x)
            return x

    claim.exact("findings", len(check_model(built(Hidden()))), 0)


def test_training_without_a_warning_proves_nothing(claim, program):
    """The wrong twin: a model whose dropout is off in `fit` trains without a warning, and its loss falls."""
    twin = program("check_model_wrong")
    claim.exact("loss_fell", bool(twin["loss"][-1] < twin["loss"][0]), True)
    claim.exact("findings", [f.see for f in check_model(twin["model"])], ["training-or-inference"])
