"""Does attention dropout cost me the fused kernel?"""

import keras
import numpy as np
import pytest
from attention_speed import passes
from speed import calls, each_step, race

numpy = keras.ops.convert_to_numpy
BATCH, LENGTH, HEADS, SIZE = 2, 64, 4, 8


def multi_head(dropout=0.0):
    return keras.layers.MultiHeadAttention(HEADS, SIZE, dropout=dropout)


def grouped(dropout=0.0):
    return keras.layers.GroupQueryAttention(SIZE, HEADS, 2, dropout=dropout)


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(BATCH, LENGTH, HEADS * SIZE)).astype("float32")


@pytest.fixture
def asked(monkeypatch):
    """How often a call of a layer asks the backend for attention in one kernel."""
    from keras.src import backend, ops

    home = backend.ops.nn if hasattr(backend, "ops") else ops  # from Keras 3.16 on
    asks, original = [], home.dot_product_attention
    monkeypatch.setattr(
        home, "dot_product_attention", lambda *args, **kwargs: (asks.append(1), original(*args, **kwargs))[1]
    )

    def count(layer, x, **options):
        asks.clear()
        layer(x, x, **options)
        return len(asks)

    return count


@pytest.mark.parametrize("build", [multi_head, grouped])
def test_a_rate_gives_the_fused_path_up(claim, asked, x, build):
    """`MultiHeadAttention` asks its backend for attention in one call, {fused_training_multi_head} time in a call, and
    with `dropout=0.1` it never does: {dropping_training_multi_head} times in training and
    {dropping_inference_multi_head} at inference. `GroupQueryAttention` does the same."""
    name = build.__name__
    for when, training in (("training", True), ("inference", False)):
        claim.exact(f"fused_{when}_{name}", asked(build(), x, training=training), 1)
        claim.exact(f"dropping_{when}_{name}", asked(build(0.1), x, training=training), 0)


def test_so_does_asking_for_the_scores(claim, asked, x):
    """`return_attention_scores=True` gives it up too, without any dropout: {scores} calls."""
    claim.exact("scores", asked(multi_head(), x, return_attention_scores=True), 0)


def test_a_dropout_behind_the_layer_keeps_it(claim, asked, x):
    """A Dropout on the output of the layer, as in every Transformer block, keeps that one call: {behind}."""

    class Block(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.attention, self.dropout = multi_head(), keras.layers.Dropout(0.1)

        def call(self, query, value, training=None):
            return self.dropout(self.attention(query, value, training=training), training=training)

    block = Block()
    block(x, x)  # to build it may take a call of its own
    claim.exact("behind", asked(block, x, training=True), 1)


def test_the_weights_can_move_to_a_layer_without_the_rate(claim, asked, x):
    """A layer without the rate that gets the weights of one with it asks for the kernel again, {served} call, and its
    outputs at inference are the same to {served_difference:.0e}."""
    dropping, plain = multi_head(0.1), multi_head()
    expected = numpy(dropping(x, x))
    plain(x, x)
    plain.set_weights(dropping.get_weights())
    claim.exact("served", asked(plain, x), 1)
    claim.close("served_difference", np.abs(numpy(plain(x, x)) - expected).max(), 0, 1e-5)


def test_flash_attention_and_a_rate_exclude_each_other(claim):
    """The wrong twin: `flash_attention=True` with a rate is a `ValueError`: “{message}”"""
    with pytest.raises(ValueError) as error:
        keras.layers.MultiHeadAttention(4, 16, dropout=0.1, flash_attention=True)
    expected = (
        "Dropout is not supported when flash attention is enabled. Please set dropout to 0.0 to use flash attention."
    )
    claim.exact("message", str(error.value), expected)


@pytest.mark.only("tensorflow", why="it is its own limit")
def test_tensorflow_has_no_flash_attention(claim, x):
    """On TensorFlow there is none to lose: `flash_attention=True` is an error there without any dropout, “{no_flash}”"""
    with pytest.raises(ValueError) as error:
        keras.layers.MultiHeadAttention(HEADS, SIZE, flash_attention=True)(x, x)
    expected = "Flash attention is not supported in tensorflow backend."
    claim.exact("no_flash", expected if expected in str(error.value) else str(error.value), expected)


def test_it_draws_a_number_for_each_pair(claim, monkeypatch, x):
    """With a rate, a call draws a random number for each pair of positions and each head: {drawn:,} of them for an output
    of {written:,} values."""
    from keras.src import backend

    sizes, original = [], backend.random.dropout
    monkeypatch.setattr(
        backend.random,
        "dropout",
        lambda inputs, *args, **kwargs: (sizes.append(inputs.shape), original(inputs, *args, **kwargs))[1],
    )
    outputs = multi_head(0.1)(x, x, training=True)
    claim.exact("drawn", int(sum(np.prod(shape) for shape in sizes)), BATCH * HEADS * LENGTH**2)
    claim.exact("written", int(np.prod(outputs.shape)), BATCH * LENGTH * HEADS * SIZE)


def test_the_causal_mask_holds_on_both_paths(claim, x):
    """Both paths keep `use_causal_mask`: a change of the last position moves those before it by {leak:.0f}, with a rate
    and without."""
    changed = x.copy()
    changed[:, -1] += 5
    for name, rate in (("leak", 0.1), ("leak_without", 0.0)):
        layer = multi_head(rate)
        before, after = (numpy(layer(inputs, inputs, use_causal_mask=True)) for inputs in (x, changed))
        claim.close(name, np.abs(after[:, :-1] - before[:, :-1]).max(), 0, 1e-6)


@pytest.mark.only("tensorflow", why="Keras 2 runs on TensorFlow alone")
def test_in_keras_2_there_is_one_path(claim, x):
    """In Keras 2 `MultiHeadAttention` writes its weights down with and without a rate: {keras2_plain} softmax in a call
    without, {keras2_dropping} with."""
    import tf_keras

    for name, rate in (("plain", 0.0), ("dropping", 0.1)):
        layer, calls = tf_keras.layers.MultiHeadAttention(HEADS, SIZE, dropout=rate), []
        layer(x, x)
        original = layer._masked_softmax
        layer._masked_softmax = lambda *args, calls=calls, original=original: (calls.append(1), original(*args))[1]
        layer(x, x)
        claim.exact(f"keras2_{name}", len(calls), 1)


@pytest.mark.only("torch", why="it is about PyTorch's own function")
def test_pytorchs_function_drops_in_any_mode(claim):
    """PyTorch's `scaled_dot_product_attention` takes the rate itself, and drops whatever mode the module is in; told
    `0.0` after `eval()`, it drops nothing."""
    import torch
    from attention_speed_torch import Attention
    from torch.nn import functional as F

    torch.manual_seed(0)
    x = torch.randn(2, 4, 128, 16)
    plain = F.scaled_dot_product_attention(x, x, x)
    claim.exact("torch_told", torch.equal(Attention(0.1).eval()(x, x, x), plain), True)
    dropped = F.scaled_dot_product_attention(x, x, x, dropout_p=0.1)
    claim.exact("torch_alone_differs", not torch.allclose(dropped, plain), True)


# ------------------------------------------------------------------------------------ measured on a GPU only


SIZES = {True: {"length": 16, "heads": 2, "size": 8}, False: {"length": 2048, "heads": 16, "size": 64}}


def thin(dropout, length, heads, size):
    """Attention between two Dense layers, so that next to nothing is copied to the device and back."""
    inputs = keras.Input((length, 1))
    x = keras.layers.Dense(heads * size)(inputs)
    x = keras.layers.MultiHeadAttention(heads, size, dropout=dropout)(x, x)
    net = keras.Model(inputs, keras.layers.Dense(1)(x))
    net.compile("sgd", "mse")
    return net


def step_times(small, training=True):
    """The seconds of a training step, or of a prediction, without and with `dropout=0.1`."""
    nets = [thin(rate, **SIZES[small]) for rate in (0.0, 0.1)]
    makes = [lambda n, net=net: passes(net, batch=2 if small else 8, n=n, training=training) for net in nets]
    return each_step(*makes, n=2 if small else 10, rounds=3 if small else 10).T


@pytest.fixture
def mixed():
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy("float32")


@pytest.mark.gpu
@pytest.mark.parametrize("training", [True, False])
def test_both_paths(claim, mixed, training, small):
    """With 16 heads of 64, between two Dense layers, 2048 positions, a batch of 8 and `mixed_bfloat16`, a training step
    without dropout takes {training.interval:.1f} ms, and with `dropout=0.1` {training_ratio.interval:.2f} times as long; a
    prediction takes {inference.interval:.1f} ms, and of the layer with the rate {inference_ratio.interval:.2f} times as
    long."""
    plain, dropping = step_times(small, training)
    name = "training" if training else "inference"
    claim.timed(name, 1000 * plain, above=0)
    claim.timed(f"{name}_ratio", dropping / plain, above=0.95)


@pytest.mark.gpu
def test_the_weights_against_the_memory(claim, mixed, small):
    """The attention weights of this layer, which a fused kernel need not write down, can be read and written once in
    {once.interval:.2f} ms, at the {bandwidth.interval:,.0f} GB/s of a change of sign. The time that `dropout=0.1` adds to a
    training step is {passes.interval:.1f} times that."""
    size, batch = SIZES[small], 2 if small else 8
    weights = keras.ops.ones((batch * size["heads"] * size["length"], size["length"]), "bfloat16")
    once = race(calls(lambda: -weights), rounds=3 if small else 10)[:, 0] / 10
    plain, dropping = step_times(small)
    claim.timed("once", 1000 * once, above=0)
    claim.timed("bandwidth", 2 * 2 * weights.shape[0] * weights.shape[1] / once / 1e9, above=0)
    claim.timed("passes", (dropping - plain) / once, above=0)
