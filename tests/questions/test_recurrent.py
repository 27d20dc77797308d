"""What do dropout and recurrent_dropout of an LSTM or GRU do?"""

import logging
import warnings

import keras
import numpy as np
import pytest
from fair_comparison import at_once
from keras import layers
from packaging.version import Version
from recurrent import SAMPLES, STEPS, WIDTH, FreshMasks, impulse, ones, simple, transparent

numpy = keras.ops.convert_to_numpy
KINDS = pytest.mark.parametrize("kind", ["simple_rnn", "lstm", "gru"])
GATED = pytest.mark.parametrize("kind", ["lstm", "gru"])
COMPILED = pytest.mark.only("tensorflow", "jax", why="under PyTorch an LSTM on a processor trains too slowly for this")
CLASSES = {"simple_rnn": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def seeing(layer):
    """A recurrent layer without memory: what it puts out at a step depends on what it sees at this step alone."""
    layer.build((None, STEPS, WIDTH))
    weights = [np.zeros(w.shape, "float32") for w in layer.get_weights()]
    kernel, bias = weights[0], weights[2]
    if "LSTM" in type(layer).__name__:  # gates: input, forget, candidate, output
        kernel[:, 2 * WIDTH : 3 * WIDTH] = np.eye(WIDTH)
        bias[:WIDTH], bias[WIDTH : 2 * WIDTH], bias[3 * WIDTH :] = 200, -200, 200
    elif "GRU" in type(layer).__name__:  # gates: update, reset, candidate
        kernel[:, 2 * WIDTH :] = np.eye(WIDTH)
        bias[0, :WIDTH] = -200
    else:
        kernel[:] = np.eye(WIDTH)
    layer.set_weights(weights)
    return layer


def over_time(zero):
    """Whether the zeros are the same at every step, and whether they are the same for every sample."""
    return bool((zero == zero[:, :1]).all()), bool((zero == zero[:1]).all())


@KINDS
def test_the_argument_draws_one_mask_for_a_sequence(claim, kind):
    """`dropout=0.5` of a SimpleRNN, LSTM or GRU hides a share of {share_lstm:.2f} of the input features, the same ones
    at every step of a sequence, and others in the next sequence."""
    layer = seeing(CLASSES[kind](WIDTH, dropout=0.5, return_sequences=True))
    zero = numpy(layer(ones, training=True)) == 0
    same_steps, same_samples = over_time(zero)
    claim.share(f"share_{kind}", zero[:, 0], 0.5)
    claim.exact(f"same_at_every_step_{kind}", same_steps, True)
    claim.exact(f"same_in_every_sample_{kind}", same_samples, False)


def test_a_dropout_in_front_draws_a_mask_for_every_step(claim):
    """A `Dropout(0.5)` in front draws anew at every step: two neighbouring steps agree on a share of {agree:.2f} of the
    features, as two throws of a coin do."""
    zero = numpy(transparent(simple())(layers.Dropout(0.5)(ones, training=True))) == 0
    claim.share("agree", zero[:, 0] == zero[:, 1], 0.5)
    claim.exact("same_at_every_step", over_time(zero)[0], False)


def test_between_stacked_layers_a_dropout_acts_at_every_step(claim):
    """Between two stacked LSTMs a `Dropout(0.5)` hides a share of {between:.2f} of what the first one puts out from the
    second, and draws anew at every step: two neighbouring steps agree on a share of {agree_between:.2f}. A
    `SpatialDropout1D` hides the same features at every step."""

    def hidden(between):
        first, second = (seeing(layers.LSTM(WIDTH, return_sequences=True)) for _ in range(2))
        return numpy(second(between(first(ones, training=True), training=True), training=True)) == 0

    zero = hidden(layers.Dropout(0.5))
    claim.share("between", zero[:, 0], 0.5)
    claim.share("agree_between", zero[:, 0] == zero[:, 1], 0.5)
    claim.exact("same_at_every_step_between", over_time(hidden(layers.SpatialDropout1D(0.5)))[0], True)


@KINDS
def test_spatial_dropout_in_front_is_the_same_as_the_argument(claim, kind):
    """`SpatialDropout1D(0.5)` in front of an LSTM, a GRU or a SimpleRNN computes what `dropout=0.5` in the layer
    computes: with the same seed and weights, the outputs agree."""
    x = normal(50, STEPS, WIDTH)
    inside = CLASSES[kind](16, dropout=0.5, seed=1, return_sequences=True)
    plain = CLASSES[kind](16, return_sequences=True)
    inside.build(x.shape)
    plain.build(x.shape)
    plain.set_weights(inside.get_weights())
    front = plain(layers.SpatialDropout1D(0.5, seed=1)(x, training=True), training=True)
    claim.close(f"difference_{kind}", np.abs(numpy(front) - numpy(inside(x, training=True))).max(), 0, 1e-5)


def test_a_dropout_in_front_does_not_drop_whole_steps(claim):
    """A `Dropout(0.5)` in front drops single values: of the steps with four features it empties a share of
    {emptied:.3f}, by chance; `noise_shape=(None, None, 1)` empties {whole:.2f}."""
    x = np.ones((SAMPLES, STEPS, 4), "float32")
    gone = (numpy(layers.Dropout(0.5)(x, training=True)) == 0).all(axis=2)
    claim.share("emptied", gone, 0.5**4)
    gone = (numpy(layers.Dropout(0.5, noise_shape=(None, None, 1))(x, training=True)) == 0).all(axis=2)
    claim.share("whole", gone, 0.5)


def test_with_one_feature_the_whole_series_goes(claim):
    """On a series with one feature, `dropout=0.2` empties the whole series, in a share of {gone:.2f} of the samples."""
    layer = layers.SimpleRNN(1, activation=None, dropout=0.2, return_sequences=True)
    layer.build((None, STEPS, 1))
    layer.set_weights([np.eye(1), np.zeros((1, 1)), np.zeros(1)])
    seen = numpy(layer(np.ones((4000, STEPS, 1), "float32"), training=True))
    claim.share("gone", (seen == 0).all(axis=(1, 2)), 0.2)
    claim.exact("series_with_holes", int(((seen == 0).any(axis=1) & (seen != 0).any(axis=1)).sum()), 0)


def test_recurrent_dropout_keeps_what_it_remembers(claim):
    """With `recurrent_dropout=0.1` a linear memory of 20 steps survives with probability {one_mask:.2f}, because the
    mask stays; with a fresh mask at each step it would be {fresh:.2f}."""
    last = numpy(transparent(simple(recurrent_dropout=0.1), 1.0)(impulse, training=True))[:, -1]
    claim.share("one_mask", last != 0, 0.9)
    cell = FreshMasks(WIDTH, activation=None, recurrent_dropout=0.1)
    fresh = layers.RNN(cell, return_sequences=True, unroll=True)
    last = numpy(transparent(fresh, 1.0)(impulse, training=True))[:, -1]
    claim.share("fresh", last != 0, 0.9 ** (STEPS - 1))


def test_its_scaling_multiplies_over_the_steps(claim):
    """What survives is scaled at every step: after 20 steps of a linear memory at rate `0.1` it stands at {value:.2f}
    instead of one, so in training the mean is {mean:.2f}."""
    last = numpy(transparent(simple(recurrent_dropout=0.1), 1.0)(impulse, training=True))[:, -1]
    power = (1 / 0.9) ** (STEPS - 1)
    claim.close("value", last.max(), power, 1e-3)
    claim.sampled("mean", last.mean(), 0.9 * power, power * (0.9 * 0.1 / last.size) ** 0.5, last.size)


def test_the_cell_state_is_never_dropped(claim):
    """`recurrent_dropout=0.9` leaves an LSTM's cell state alone: with the forget gate open and the input gate closed it
    passes a step unchanged."""
    cell = layers.LSTMCell(WIDTH, recurrent_dropout=0.9)
    cell.build((None, WIDTH))
    weights = [np.zeros(w.shape, "float32") for w in cell.get_weights()]
    weights[2][:WIDTH], weights[2][WIDTH : 2 * WIDTH] = -200, 200
    cell.set_weights(weights)
    before = normal(50, WIDTH)
    _, (_, after) = cell(np.zeros((50, WIDTH), "float32"), [np.ones_like(before), before], training=True)
    claim.close("change_of_the_cell_state", np.abs(numpy(after) - before).max(), 0, 1e-6)


@pytest.mark.parametrize(("kind", "gates"), [("lstm", 4), ("gru", 3)])
def test_recurrent_dropout_draws_one_mask_for_each_gate(claim, kind, gates, monkeypatch):
    """`dropout` alone draws one mask for all gates. With `recurrent_dropout` an LSTM draws {both_lstm} masks for a
    sequence and a GRU {both_gru}: one for each gate, of the inputs and of the state."""
    drawn, dropout = [], keras.src.backend.random.dropout

    def spy(*arguments, **options):
        drawn.append(arguments)
        return dropout(*arguments, **options)

    monkeypatch.setattr(keras.src.backend.random, "dropout", spy)
    for name, rates in (("inputs", {}), ("both", {"recurrent_dropout": 0.5})):
        drawn.clear()
        CLASSES[kind](WIDTH, dropout=0.5, **rates)(ones, training=True)
        claim.exact(f"{name}_{kind}", len(drawn), 1 if name == "inputs" else 2 * gates)


@GATED
def test_only_recurrent_dropout_gives_up_the_fast_kernel(claim, kind, monkeypatch):
    """An LSTM or a GRU asks the backend for its fused kernel, cuDNN's, with `dropout` and without; with
    `recurrent_dropout` it does not ask."""
    asked = []

    def spy(*arguments, **options):
        asked.append(arguments)
        raise NotImplementedError  # as a backend says that it has none

    backend = keras.src.backend
    monkeypatch.setattr(backend if hasattr(backend, kind) else backend.rnn, kind, spy)  # there from Keras 3.16 on
    for name, rates, wanted in (
        ("none", {}, 1),
        ("dropout", {"dropout": 0.5}, 1),
        ("recurrent_dropout", {"recurrent_dropout": 0.1}, 0),
    ):
        asked.clear()
        CLASSES[kind](WIDTH, **rates)(ones, training=True)
        claim.exact(f"asked_{name}_{kind}", len(asked), wanted)
        if name == "dropout":  # the inputs that the kernel would get are masked already
            claim.share(f"masked_{kind}", numpy(asked[0][0])[:, 0] == 0, 0.5)


@GATED
def test_it_gives_it_up_silently_unless_told(claim, kind, caplog):
    """Keras 3 gives up the kernel without a warning; `use_cudnn=True` makes it an error."""
    with warnings.catch_warnings(record=True) as caught, caplog.at_level(logging.WARNING):
        warnings.simplefilter("always", UserWarning)
        CLASSES[kind](WIDTH, recurrent_dropout=0.1)(ones, training=True)
    said = [str(w.message) for w in caught if issubclass(w.category, UserWarning)] + caplog.messages
    claim.exact(f"warnings_{kind}", sum("cudnn" in message.lower() for message in said), 0)
    with pytest.raises(ValueError, match="cuDNN is not supported for this layer configuration"):
        CLASSES[kind](WIDTH, recurrent_dropout=0.1, use_cudnn=True)(ones, training=True)
    claim.exact(f"refused_{kind}", True, True)


@GATED
def test_rates_are_clamped_not_refused(claim, kind):
    """`LSTM(recurrent_dropout=20)`, meant in per cent, is no error: the rate becomes {rate_lstm:.0f}, and at that rate
    the layer drops nothing at all; a GRU does the same. On TensorFlow before Keras 3.14 both fail there."""
    layer = CLASSES[kind](WIDTH, recurrent_dropout=20, return_sequences=True)
    claim.exact(f"rate_{kind}", float(layer.recurrent_dropout), 1.0)
    x = normal(20, STEPS, WIDTH)
    if keras.backend.backend() == "tensorflow" and Version(keras.__version__) < Version("3.14"):
        with pytest.raises(ValueError, match=r"range \[0, 1\)"):
            layer(x, training=True)
    else:
        training, inference = numpy(layer(x, training=True)), numpy(layer(x, training=False))
        claim.close(f"difference_{kind}", np.abs(training - inference).max(), 0, 1e-6)
    with pytest.raises(ValueError, match="between 0 and 1"):
        layers.Dropout(20)


@KINDS
def test_it_is_off_at_inference(claim, kind):
    """In `predict` a layer with `dropout` and `recurrent_dropout` computes what it computes without them."""
    x = normal(20, STEPS, WIDTH)
    with_rates = keras.Sequential([CLASSES[kind](WIDTH, dropout=0.5, recurrent_dropout=0.5)])
    without = keras.Sequential([CLASSES[kind](WIDTH)])
    with_rates.build(x.shape)
    without.build(x.shape)
    without.set_weights(with_rates.get_weights())
    difference = with_rates.predict(x, verbose=0) - without.predict(x, verbose=0)
    claim.close(f"difference_{kind}", np.abs(difference).max(), 0, 1e-5)


@GATED
def test_implementation_1_alone_fails(claim, kind):
    """In Keras 3.15 `dropout=0.5` with `implementation=1` and without `recurrent_dropout` fails in training, and works
    with `use_cudnn=False`."""
    layer = CLASSES[kind](WIDTH, dropout=0.5, implementation=1)
    try:
        layer(ones, training=True)
        failed = False
    except Exception:  # each backend has its own
        failed = True
    claim.exact(f"failed_{kind}", failed, True)
    shape = CLASSES[kind](WIDTH, dropout=0.5, implementation=1, use_cudnn=False)(ones, training=True).shape
    claim.exact(f"shape_{kind}", list(shape), [SAMPLES, WIDTH])


@pytest.mark.only("tensorflow", why="Keras 2 runs on TensorFlow")
def test_keras_2_drew_a_mask_for_every_step(claim):
    """Keras 2 drew a mask for every step: of `tf_keras`' `LSTM(dropout=0.5)` two neighbouring steps agree on a share of
    {agree_keras_2:.2f} of the features, and only with `recurrent_dropout` on all."""
    import tf_keras

    layer = seeing(tf_keras.layers.LSTM(WIDTH, dropout=0.5, return_sequences=True))
    zero = layer(ones, training=True).numpy() == 0
    claim.share("agree_keras_2", zero[:, 0] == zero[:, 1], 0.5)
    layer = seeing(tf_keras.layers.LSTM(WIDTH, dropout=0.5, recurrent_dropout=0.1, return_sequences=True))
    claim.exact("same_with_recurrent_dropout", over_time(layer(ones, training=True).numpy() == 0)[0], True)


def test_the_outputs_are_left_alone(claim, program):
    """The wrong twin: `LSTM(dropout=0.5)` sets none of its outputs to zero; a `Dropout(0.5)` behind it sets a share of
    {behind:.2f} to zero."""
    twin = program("recurrent_wrong")
    claim.exact("outputs_at_zero", float((twin["outputs"] == 0).mean()), 0.0)
    claim.share("behind", twin["behind"] == 0, 0.5)


# ------------------------------------------------------------------------- one step ahead on a short series

LAGS, SHORT, LONG = 12, 40, 120
ARMS = {"none": {}, "dropout": {"dropout": 0.2}, "recurrent": {"recurrent_dropout": 0.2}}


def series(seed, length):
    """A season of 12 steps and autoregressive noise."""
    rng, noise = np.random.default_rng(seed), np.zeros(length)
    for t in range(1, length):
        noise[t] = 0.5 * noise[t - 1] + rng.normal(0, 0.5)
    return (np.sin(2 * np.pi * np.arange(length) / 12) + noise).astype("float32")


def windows(values):
    found = np.lib.stride_tricks.sliding_window_view(values, LAGS + 1)
    return found[:, :-1, None], found[:, -1:]


def forecaster(rates):
    return keras.Sequential([keras.Input((LAGS, 1)), layers.LSTM(16, **rates), layers.Dense(1)])


@pytest.fixture(scope="module")
def errors(study):
    """Arm → the error on what follows the series, replica by replica, after few and after many epochs."""
    found, replicas = {}, 3 if study.short else 20
    for arm, rates in ARMS.items():
        model = forecaster(rates)
        steps = {"steps_per_execution": at_once(SHORT), "jit_compile": keras.backend.backend() == "jax"}
        model.compile(keras.optimizers.Adam(0.01), "mse", **steps)
        model.optimizer.build(model.trainable_variables)
        start = [numpy(v).copy() for v in model.optimizer.variables]
        found[arm] = np.zeros((replicas, 2))
        for replica in range(replicas):
            values = series(replica, 248)
            (x, y), (later, truth) = windows(values[:48]), windows(values[36:])
            keras.utils.set_random_seed(replica)
            model.set_weights(forecaster(rates).get_weights())
            for variable, value in zip(model.optimizer.variables, start, strict=True):
                variable.assign(value)
            for i, epochs in enumerate((SHORT, LONG - SHORT)):
                # all windows in one batch: an epoch is a step
                model.fit(np.tile(x, (epochs, 1, 1)), np.tile(y, (epochs, 1)), len(x), shuffle=False, verbose=0)
                found[arm][replica, i] = np.sqrt(np.mean((numpy(model(later)) - truth) ** 2))
    return found


@pytest.mark.study
@COMPILED
def test_on_a_short_series_it_helps_a_model_trained_too_long(claim, errors):
    """On 36 windows of a short series, an LSTM trained for 120 epochs forecasts the rest better with dropout: its root mean
    square error, {none_error.interval:.2f} without, falls by {input.interval:.2f} with `dropout=0.2`, and by {recurrent.interval:.2f} with `recurrent_dropout=0.2`, over
    20 series."""
    claim.trained("none_error", errors["none"][:, 1], above=0)
    claim.trained("input", errors["none"][:, 1] - errors["dropout"][:, 1], above=0)
    claim.trained("recurrent", errors["none"][:, 1] - errors["recurrent"][:, 1], above=0)


@pytest.mark.study
@COMPILED
def test_stopping_early_helps_without_any(claim, errors):
    """Stopped after 40 epochs, the same LSTM without dropout has an error lower by {stopping.interval:.2f} than after
    120, over 20 series."""
    claim.trained("stopping", errors["none"][:, 1] - errors["none"][:, 0], above=0)
