"""Can Dropout be the first layer, on the input?"""

import keras
import numpy as np
import pytest
from fair_comparison import dense, digits, evaluate

numpy = keras.ops.convert_to_numpy
REPLICAS = 20


def thread_model(input_rate):
    """The thread's network for all replicas, with Dropout on its input only."""
    return [
        keras.layers.Dropout(input_rate),
        dense(REPLICAS, 128, "relu"),
        dense(REPLICAS, 64, "relu"),
        dense(REPLICAS, 10),
    ]


@pytest.fixture(scope="module")
def clean():
    """Accuracy at each input rate on 700 clean digits."""
    data = digits(700, REPLICAS)
    return {rate: evaluate(lambda r=rate: thread_model(r), data, epochs=50)[0] for rate in (0, 0.1, 0.2, 0.5)}


@pytest.fixture(scope="module")
def noisy():
    """Accuracy at each input rate on 500 digits, 30 % of whose labels are random."""
    data = digits(500, REPLICAS, noise=0.3)
    return {rate: evaluate(lambda r=rate: thread_model(r), data, epochs=50)[0] for rate in (0, 0.2)}


def test_it_masks_pixels_in_training(claim, program):
    """As the first layer, `Dropout(0.2)` sets a share of {lost:.3f} of the pixels to zero and scales the rest by 1.25,
    with another mask for each image."""
    run = program("input_layer")
    ink = run["digits"] > 0
    claim.share("lost", run["masked"][ink] == 0, 0.2)
    kept = run["masked"] > 0
    claim.close("scale", (run["masked"][kept] / run["digits"][kept]).max(), 1.25, 1e-6)
    masks = run["masked"][ink].reshape(-1) == 0
    both = (run["digits"][0] > 0) & (run["digits"][1] > 0)
    agree = (run["masked"][0][both] == 0) == (run["masked"][1][both] == 0)
    claim.exact("first_two_images_share_a_mask", bool(agree.all()), False)
    claim.exact("pixels", masks.size, int(ink.sum()))


def test_it_passes_the_input_through_at_inference(claim, program):
    """At inference it passes the input through unchanged, to the last bit."""
    run = program("input_layer")
    claim.exact("largest_change", np.abs(numpy(run["first"](run["digits"])) - run["digits"]).max(), 0.0)


def test_a_rate_of_point_two_hurts_on_clean_digits(claim, clean):
    """On 700 clean digits of 8×8 pixels, dropping 0.2 of the input changes accuracy by {rate_2.interval:+.2f}
    percentage points, over {rate_2.n} paired replicas: it hurts."""
    claim.trained("rate_2", clean[0.2] - clean[0], below=0)


def test_a_rate_of_point_one_is_not_shown_to_help(claim, clean):
    """On the same digits, a rate of 0.1 changes accuracy by {rate_1.interval:+.2f} percentage points: less than one
    point either way."""
    claim.trained("rate_1", clean[0.1] - clean[0], above=-1, below=1)


def test_a_rate_of_one_half_hurts_much(claim, clean):
    """On the same digits, a rate of 0.5 on the input changes accuracy by {rate_5.interval:+.2f} percentage points."""
    claim.trained("rate_5", clean[0.5] - clean[0], below=-1)


def test_it_helps_when_labels_are_wrong(claim, noisy):
    """With 500 digits and 30 % random labels, the same 0.2 on the input gains {noisy_2.interval:+.1f} percentage
    points."""
    claim.trained("noisy_2", noisy[0.2] - noisy[0], above=0)


def test_before_an_embedding_it_changes_the_words(claim, program):
    """The wrong twin: on token ids, `Dropout(0.2)` turns every id into 0 or into 1.25 times itself, another word:
    of {ids} ids put in, {unchanged} come out unchanged."""
    twin = program("input_layer_wrong")
    words, read = twin["words"], numpy(twin["model"](twin["words"], training=True)[0]).astype(int)
    claim.exact("ids", int(words.size), 16)
    claim.exact("unchanged", int((read == words).sum()), 0)
    claim.exact("zero_or_scaled", bool(((read == 0) | (read == words * 5 // 4)).all()), True)


def test_in_a_model_integers_become_floats(claim):
    """In a model whose `Input` has no `dtype` integers become floats first: nothing stops, and a share of {dropped:.2f} is
    dropped."""
    model = keras.Sequential([keras.Input((1000,)), keras.layers.Dropout(0.2)])
    claim.share("dropped", numpy(model(np.ones((20, 1000), "int32"), training=True)) == 0, 0.2)


def test_integer_ids_stop_with_an_error(claim):
    """On integer ids the same layer works at inference and stops with an error in training."""
    ids = np.arange(8, dtype="int32").reshape(1, 8)
    layer = keras.layers.Dropout(0.2)
    claim.exact("inference", numpy(layer(ids)), ids)
    with pytest.raises(Exception) as error:  # ValueError, TypeError or RuntimeError, by backend
        layer(ids, training=True)
    claim.exact("stops", error.type.__name__ in ("ValueError", "TypeError", "RuntimeError"), True)
