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
        return layers.Dense(2)(layers.Dropout(0.1)(layers.Add()([x, branch])))

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
