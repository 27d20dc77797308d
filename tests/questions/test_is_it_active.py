"""How can I tell whether dropout is on?"""

import keras
import numpy as np
import pytest
from is_it_active import activity
from is_it_active_watch import acting
from training_or_inference import MCDropout, Passing, ones, phases
from training_or_inference_siblings import Leaking, Tight
from training_or_inference_wrong import NoArgument

numpy, layers = keras.ops.convert_to_numpy, keras.layers
COLUMNS = {"evaluate, predict": ("validation in fit", "evaluate", "predict")}  # of the report, and what really ran
SEQUENCE, IMAGE, VOLUME = (10, 8), (8, 8, 3), (4, 4, 4, 3)


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


class Keeping(Passing):
    """Takes `training` and does not pass it on."""

    def call(self, inputs, training=None):
        return self.dropout(self.dense(inputs))


class Siblings(keras.Model):
    """The second Dropout of a block, behind one that is told not to drop."""

    def __init__(self, block):
        super().__init__()
        self.dense, self.block = ones(), block

    def call(self, inputs, training=None):
        return self.block(self.dense(inputs), training=training)[1]


def functional(training=None, dropout=layers.Dropout):
    inputs = keras.Input((100,))
    given = {} if training is None else {"training": training}
    return keras.Model(inputs, dropout(0.5)(ones()(inputs), **given))


def nested():
    inputs = keras.Input((100,))
    return keras.Model(inputs, functional()(ones()(inputs)))


MODELS = {
    "functional": functional,
    "written_true": lambda: functional(True),
    "written_false": lambda: functional(False),
    "always_on": lambda: functional(dropout=MCDropout),
    "nested": nested,
    "passing": lambda: Passing(0.5),
    "keeping": lambda: Keeping(0.5),
    "no_argument": NoArgument,
    "leaking": lambda: Siblings(Leaking()),
    "tight": lambda: Siblings(Tight()),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_report_says_what_the_phases_do(claim, name):
    """For ten models, among them nested and subclassed ones and each mistake of Keras 3.15, the report says of each phase
    what `fit`, `evaluate`, `predict` and the calls then really do."""
    model = MODELS[name]()
    report = activity(model, np.ones((4, 100), "float32"))
    really = phases(model)
    wrong = 0
    for column in next(iter(report.values())):
        acts = any(on[column] for on in report.values())
        wrong += sum(acts != (really[phase] > 0) for phase in COLUMNS.get(column, (column,)))
    claim.exact(f"wrong_{name}", wrong, 0)


KINDS = {
    "Dropout": (lambda: layers.Dropout(0.5), SEQUENCE),
    "SpatialDropout1D": (lambda: layers.SpatialDropout1D(0.5), SEQUENCE),
    "SpatialDropout2D": (lambda: layers.SpatialDropout2D(0.5), IMAGE),
    "SpatialDropout3D": (lambda: layers.SpatialDropout3D(0.5), VOLUME),
    "AlphaDropout": (lambda: layers.AlphaDropout(0.5), SEQUENCE),
    "GaussianDropout": (lambda: layers.GaussianDropout(0.5), SEQUENCE),
    "GaussianNoise": (lambda: layers.GaussianNoise(0.5), SEQUENCE),
    "SimpleRNN": (lambda: layers.SimpleRNN(8, dropout=0.5), SEQUENCE),
    "LSTM": (lambda: layers.LSTM(8, dropout=0.5), SEQUENCE),
    "LSTM recurrent": (lambda: layers.LSTM(8, recurrent_dropout=0.5), SEQUENCE),
    "GRU": (lambda: layers.GRU(8, dropout=0.5), SEQUENCE),
    "Bidirectional": (lambda: layers.Bidirectional(layers.GRU(8, dropout=0.5)), SEQUENCE),
    "ConvLSTM1D": (lambda: layers.ConvLSTM1D(4, 3, dropout=0.5), (4, 8, 3)),
    "MultiHeadAttention": (lambda: layers.MultiHeadAttention(2, 4, dropout=0.5), SEQUENCE),
    "GroupQueryAttention": (lambda: layers.GroupQueryAttention(4, 2, 1, dropout=0.5), SEQUENCE),
    "Attention": (lambda: layers.Attention(dropout=0.5), SEQUENCE),
    "AdditiveAttention": (lambda: layers.AdditiveAttention(dropout=0.5), SEQUENCE),
    "RandomTranslation": (lambda: layers.RandomTranslation(0.5, 0.5), IMAGE),
    "RandomContrast": (lambda: layers.RandomContrast(0.5), IMAGE),
}


def test_every_kind_is_found(claim):
    """{kinds} kinds of randomness are found, and reported as on in `fit` and off in `predict`: dropout of every shape,
    noise, recurrent layers, attention and augmentation."""
    right = []
    for name, (build, shape) in KINDS.items():
        inputs, layer = keras.Input(shape), build()
        if name in ("Attention", "AdditiveAttention"):
            outputs = layer([inputs, inputs])
        else:
            outputs = (
                layer(inputs, inputs) if name.endswith("QueryAttention") or name.startswith("Multi") else layer(inputs)
            )
        x = np.random.default_rng(0).random((4, *shape), dtype="float32")
        report = activity(keras.Model(inputs, outputs), x).values()
        if any(on["fit"] for on in report) and not any(on["evaluate, predict"] for on in report):
            right.append(name)
    claim.exact("missed", sorted(set(KINDS) - set(right)), [])
    claim.exact("kinds", len(right), 19)


def test_it_names_the_layer(claim):
    """It names the layer by its path: {path} for a Dropout in a nested model."""
    inner = keras.Sequential([keras.Input((8,)), layers.Dropout(0.5, name="dropout")], name="base")
    report = activity(keras.Sequential([keras.Input((8,)), inner]), np.ones((4, 8), "float32"))
    claim.exact("path", ", ".join(report), "model/base/dropout")


def test_a_rate_of_zero_is_no_source(claim):
    """A Dropout with a rate of 0 is not listed: {listed} sources in a model that has no other."""
    model = keras.Sequential([keras.Input((8,)), layers.Dropout(0), layers.LayerNormalization()])
    claim.exact("listed", len(activity(model, np.ones((4, 8), "float32"))), 0)


def test_a_source_that_never_acts_is_listed(claim):
    """A Dropout that a model calls with a fixed `training=False` is listed, and acts in {acts} of the phases."""

    class Never(Passing):
        def call(self, inputs, training=None):
            return self.dropout(self.dense(inputs), training=False)

    report = activity(Never(0.5), np.ones((4, 100), "float32"))
    claim.exact("sources", len(report), 1)
    claim.exact("acts", sum(sum(on.values()) for on in report.values()), 0)


@pytest.mark.only("tensorflow", "jax", why="the PyTorch backend draws from PyTorch's own generator")
def test_drawing_is_not_acting(claim):
    """An LSTM with dropout draws a mask in `predict` too, and does not use it; the report says off."""
    model, x = keras.Sequential([layers.LSTM(8, dropout=0.5)]), np.ones((4, 10, 8), "float32")
    model(x)
    generator = model.layers[0].cell.seed_generator
    before = numpy(generator.state).copy()
    acts = acting(model, lambda: model(x, training=False))
    claim.exact("drew", not np.array_equal(before, numpy(generator.state)), True)
    claim.exact("acts_at_inference", any(acts.values()), False)


def test_the_model_stays_as_it_is(claim):
    """The report leaves every variable of the model as it was, the statistics of BatchNormalization and the seeds too."""
    model = keras.Sequential([keras.Input((8,)), layers.BatchNormalization(), layers.Dropout(0.5)])
    before = [numpy(v).copy() for v in model.variables]
    activity(model, np.random.default_rng(0).random((4, 8), dtype="float32"))
    same = [np.array_equal(a, numpy(v)) for a, v in zip(before, model.variables, strict=True)]
    claim.exact("changed", same.count(False), 0)


def test_a_function_is_found_in_its_layer(claim):
    """`keras.random.dropout` in the `call` of a layer is found, and acts in every phase, also in `predict`."""

    class Own(layers.Layer):
        def __init__(self):
            super().__init__(name="own")
            self.seed = keras.random.SeedGenerator()

        def call(self, inputs):
            return keras.random.dropout(inputs, 0.5, seed=self.seed)

    report = activity(keras.Sequential([keras.Input((100,)), Own()]), np.ones((4, 100), "float32"))
    claim.exact("found", list(report), ["model/own"])
    claim.exact("in_every_phase", all(report["model/own"].values()), True)


def test_a_fixed_seed_is_not_found(claim):
    """A function with a number as its seed is not found: it drops a share of {dropped:.2f}, with the same mask each time."""

    class Fixed(layers.Layer):
        def call(self, inputs):
            return keras.random.dropout(inputs, 0.5, seed=1)

    model, x = keras.Sequential([keras.Input((10_000,)), Fixed()]), np.ones((1, 10_000), "float32")
    claim.share("dropped", numpy(model(x)) == 0, 0.5)
    claim.exact("fixed_found", len(activity(model, x)), 0)


def test_two_calls_differ_where_it_acts(claim):
    """Without a report: two calls with `training=True` differ, and two predictions agree, in a model with Dropout."""
    model, x = functional(), np.ones((4, 100), "float32")
    claim.exact("calls_differ", not np.array_equal(*(numpy(model(x, training=True)) for _ in range(2))), True)
    claim.exact("predictions_agree", np.array_equal(*(model.predict(x, verbose=0) for _ in range(2))), True)


@pytest.mark.parametrize("rate", [0, 0.5])
def test_a_step_of_size_zero_tells(claim, rate):
    """Of `fit` itself: with a learning rate of 0, two steps on one batch give two losses with dropout, and one without."""
    model = keras.Sequential([keras.Input((100,)), layers.Dense(100), layers.Dropout(rate), layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    x, y = np.ones((4, 100), "float32"), np.zeros((4, 1), "float32")
    losses = []
    for _ in range(2):
        losses.append(model.train_on_batch(x, y))
        model.reset_metrics()
    claim.exact(f"losses_differ_{rate * 10:.0f}", losses[0] != losses[1], rate > 0)


def test_without_its_top_a_model_may_have_no_dropout(claim):
    """`keras.applications.MobileNet(dropout=0.5)` has {with_top} Dropout with its head and {without_top} with
    `include_top=False`, where the argument has no effect."""
    for name, top in (("with_top", True), ("without_top", False)):
        model = keras.applications.MobileNet((32, 32, 3), alpha=0.25, include_top=top, weights=None, dropout=0.5)
        claim.exact(name, sum(isinstance(layer, layers.Dropout) for layer in model.layers), int(top))


def test_a_model_of_its_output_shows_the_mask(claim):
    """A model that ends at the Dropout shows what it put out: with `training=True` a share of {seen:.2f} is zero, and
    without it nothing."""
    model, x = functional(), np.ones((100, 100), "float32")
    probe = keras.Model(model.inputs[0], model.layers[-1].output)
    claim.share("seen", numpy(probe(x, training=True)) == 0, 0.5)
    claim.exact("seen_without", int(np.sum(numpy(probe(x)) == 0)), 0)


def test_the_old_recipe_is_gone(claim):
    """The recipe `K.function([inputs, K.learning_phase()], …)` is gone: `keras.backend` of Keras 3 has neither."""
    gone = [name for name in ("function", "learning_phase") if hasattr(keras.backend, name)]
    claim.exact("left", gone, [])


def test_looking_for_layers_misleads(claim, program):
    """The wrong twin: one model has a Dropout layer that is off in `fit`; the other has none and is random there. Both
    predict the same twice."""
    twin = program("is_it_active_wrong")
    silent = activity(twin["Silent"](), np.ones((4, 8), "float32"))
    recurrent = activity(twin["recurrent"], np.ones((4, 10, 8), "float32"))
    claim.exact("silent_in_fit", [on["fit"] for on in silent.values()], [False])
    claim.exact("silent_when_called", [on["model(x, training=True)"] for on in silent.values()], [True])
    claim.exact("recurrent_in_fit", [on["fit"] for on in recurrent.values()], [True])
    claim.exact("predictions_differ", bool((twin["first"] != twin["second"]).any()), False)
