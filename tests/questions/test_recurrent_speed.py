"""Why is recurrent_dropout so slow?"""

import importlib
import warnings

import keras
import numpy as np
import pytest
from recurrent_speed import fits
from speed import calls, each_step, race

LAYERS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
GATES = {"lstm": 4, "gru": 3}
OPTIONS = {"plain": {}, "dropout": {"dropout": 0.2}, "recurrent": {"recurrent_dropout": 0.2}}
x = np.ones((2, 5, 3), "float32")


def asked(monkeypatch, name, training, **options):
    """How often a layer asks its backend for the whole loop in one call: cuDNN's on a GPU."""
    from keras.src import backend

    home = backend if hasattr(backend, name) else backend.rnn  # where Keras 3.16 keeps it
    asks, original = [], getattr(home, name)
    monkeypatch.setattr(home, name, lambda *args, **kwargs: (asks.append(1), original(*args, **kwargs))[1])
    LAYERS[name](8, **options)(x, training=training)
    return len(asks)


def products(monkeypatch, name, **options):
    """How many matrix products an unrolled layer computes in five steps in training."""
    from keras.src import ops

    calls, original = [], ops.matmul
    monkeypatch.setattr(ops, "matmul", lambda *args, **kwargs: (calls.append(1), original(*args, **kwargs))[1])
    LAYERS[name](8, unroll=True, use_cudnn=False, **options)(x, training=True)
    return len(calls)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("training", [True, False])
def test_recurrent_dropout_never_asks_for_the_fast_kernel(claim, monkeypatch, name, training):
    """An LSTM or GRU asks its backend for the whole loop in one kernel, and with `recurrent_dropout` above zero it never
    does, neither in training nor at inference: {plain_lstm_training} call without dropout, {recurrent_lstm_training}
    with it."""
    when = f"{name}_{'training' if training else 'inference'}"
    with monkeypatch.context() as patch:
        claim.exact(f"plain_{when}", asked(patch, name, training), 1)
    with monkeypatch.context() as patch:
        claim.exact(f"recurrent_{when}", asked(patch, name, training, recurrent_dropout=0.2), 0)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.holds("keras>=3.4", why="before, dropout gave up the kernel as well")
def test_dropout_of_the_inputs_keeps_the_fast_kernel(claim, monkeypatch, name):
    """With `dropout=0.2`, which masks the inputs, the layer still asks for it in training: {kept_lstm} call of an LSTM,
    {kept_gru} of a GRU."""
    claim.exact(f"kept_{name}", asked(monkeypatch, name, True, dropout=0.2), 1)


@pytest.mark.parametrize("name", LAYERS)
def test_each_gate_is_computed_by_itself(claim, monkeypatch, name):
    """With `recurrent_dropout` each gate has a mask of its own, so five steps of an LSTM take {recurrent_lstm} matrix
    products instead of {plain_lstm}, and of a GRU {recurrent_gru} instead of {plain_gru}."""
    with monkeypatch.context() as patch:
        claim.exact(f"plain_{name}", products(patch, name), 5 * 2)
    with monkeypatch.context() as patch:
        claim.exact(f"recurrent_{name}", products(patch, name, recurrent_dropout=0.2), 5 * 2 * GATES[name])


@pytest.mark.parametrize("name", LAYERS)
def test_the_masks_are_drawn_once_for_all_steps(claim, name):
    """The masks are drawn once for a batch, not once for a step: an LSTM with `recurrent_dropout` draws {masks_lstm} of
    them, a GRU {masks_gru}, whether the sequence has 5 steps or 50."""
    counts = []
    for length in (5, 50):
        layer = LAYERS[name](8, recurrent_dropout=0.2, seed=1)
        layer(np.ones((2, length, 3), "float32"), training=True)
        state = keras.ops.convert_to_numpy(layer.cell.seed_generator.state)
        counts.append(int(state[1]))
    claim.exact(f"masks_{name}", counts[0], GATES[name])
    claim.exact(f"masks_{name}_of_50", counts[1], GATES[name])


def test_the_fall_back_is_silent_unless_you_ask(claim, program):
    """The wrong twin: with `recurrent_dropout` Keras falls back without a warning; with `use_cudnn=True` it raises a
    `ValueError`: “{message}”"""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        twin = program("recurrent_speed_wrong")
    claim.exact("warnings", sum(issubclass(warning.category, UserWarning) for warning in caught), 0)
    with pytest.raises(ValueError) as error:
        keras.layers.LSTM(8, recurrent_dropout=0.2, use_cudnn=True)(twin["x"])
    expected = (
        "use_cudnn=True was specified, but cuDNN is not supported for this layer configuration with this backend. "
        "Pass use_cudnn='auto' to fallback to a non-cuDNN implementation."
    )
    claim.exact("message", expected if expected in str(error.value) else str(error.value), expected)


def refused(**options):
    """The layers for which `use_cudnn=True` is an error with these options."""
    found = []
    for name in sorted(LAYERS):
        try:
            LAYERS[name](8, use_cudnn=True, **options)(x)
        except ValueError:
            found.append(name)
    return found


def test_use_cudnn_refuses_recurrent_dropout(claim):
    """With `use_cudnn=True`, `recurrent_dropout` is an error for LSTM and GRU on every backend."""
    claim.exact("both", refused(recurrent_dropout=0.2), ["gru", "lstm"])


@pytest.mark.only("tensorflow", why="the other backends let more pass")
def test_on_tensorflow_use_cudnn_refuses_another_activation(claim):
    """On TensorFlow `use_cudnn=True` is an error with `activation="relu"` as well, which no kernel computes."""
    claim.exact("both_on_tensorflow", refused(activation="relu"), ["gru", "lstm"])


@pytest.mark.only("jax", "torch", why="on TensorFlow it is an error")
@pytest.mark.holds("keras>=3.15", why="before, it was an error there, too")
def test_elsewhere_use_cudnn_may_fall_back(claim):
    """With `activation="relu"` and `use_cudnn=True` a GRU on JAX, and LSTM and GRU on PyTorch, fall back without an error."""
    found = refused(activation="relu")
    claim.exact("gru_is_refused", "gru" in found, False)
    claim.exact("lstm_is_refused_on_jax_alone", ("lstm" in found) == (keras.backend.backend() == "jax"), True)


@pytest.mark.only("tensorflow", why="it asks TensorFlow's own condition")
def test_what_else_gives_up_the_kernel(claim, monkeypatch):
    """Other activations than the usual ones, `unroll=True` and `use_bias=False` give the kernel up too: of these and the
    usual LSTM, {fast} of 5 may use cuDNN where there is a GPU."""
    rnn = importlib.import_module("keras.src.backend.tensorflow.rnn")  # a function hides the module

    monkeypatch.setattr(rnn, "_is_gpu_available", lambda: True)
    usual = {"activation": "tanh", "recurrent_activation": "sigmoid", "unroll": False, "use_bias": True}
    changes = [{}, {"activation": "relu"}, {"recurrent_activation": "tanh"}, {"unroll": True}, {"use_bias": False}]
    found = []
    for change in changes:
        options = usual | change
        functions = [keras.activations.get(options.pop(key)) for key in ("activation", "recurrent_activation")]
        found.append(bool(rnn.cudnn_ok(*functions, options["unroll"], options["use_bias"])))
    claim.exact("fast", sum(found), 1)
    claim.exact("usual_is_fast", found[0], True)


@pytest.mark.only("tensorflow", why="Keras 2 runs on TensorFlow alone")
def test_in_keras_2_the_condition_is_the_same(claim):
    """In Keras 2 the same: an LSTM may use the fast kernel with `dropout=0.2` and not with `recurrent_dropout=0.2`."""
    import tf_keras

    could = {name: tf_keras.layers.LSTM(8, **options)._could_use_gpu_kernel for name, options in OPTIONS.items()}
    claim.exact("keras2_plain", bool(could["plain"]), True)
    claim.exact("keras2_dropout", bool(could["dropout"]), True)
    claim.exact("keras2_recurrent", bool(could["recurrent"]), False)


# ------------------------------------------------------------------------------------ measured on a GPU only


SIZES = {True: {"units": 4, "length": 5, "batch": 4}, False: {"units": 256, "length": 128, "batch": 256}}


def step_times(small, *arms):
    """The seconds of a training step of an LSTM with each of some options."""
    makes = [lambda n, options=options: fits(n=n, **SIZES[small], **options) for options in arms]
    return each_step(*makes, n=2 if small else 10, rounds=3 if small else 10).T


@pytest.mark.gpu
def test_a_training_step_of_each(claim, small):
    """A training step of an `LSTM(256)` over 128 steps of time, with a batch of 256, takes {step.interval:.1f} ms; with
    `dropout=0.2` it takes {dropout.interval:.2f} times as long, with `recurrent_dropout=0.2` {recurrent.interval:.1f}
    times, and with `use_cudnn=False` alone {fallback.interval:.1f} times."""
    times = step_times(small, *OPTIONS.values(), {"use_cudnn": False})
    claim.timed("step", 1000 * times[0], above=0)
    claim.timed("dropout", times[1] / times[0], above=0.9, below=2)
    claim.timed("recurrent", times[2] / times[0], above=1.5)
    claim.timed("fallback", times[3] / times[0], above=1)


@pytest.mark.gpu
def test_a_training_step_against_the_memory(claim, small):
    """If such a step keeps four gates, a cell state and an output for each unit and step of time, then to write and read
    them once, at the {bandwidth.interval:,.0f} GB/s of a change of sign, takes a share of {fast_share:.1%} of the step's
    time, and of {recurrent_share:.1%} with `recurrent_dropout=0.2`."""
    size = SIZES[small]
    kept = keras.ops.ones((size["batch"] * size["length"], 6 * size["units"]))
    sign = race(calls(lambda: -kept), rounds=3 if small else 10)[:, 0] / 10
    fast, recurrent = step_times(small, {}, {"recurrent_dropout": 0.2})
    claim.timed("bandwidth", 2 * 4 * kept.shape[0] * kept.shape[1] / sign / 1e9, above=0)
    claim.timed("fast_share", sign / fast, above=0, below=1.1)  # nothing is faster than the bytes
    claim.timed("recurrent_share", sign / recurrent, above=0, below=1.1)
