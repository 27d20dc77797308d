"""What does the rate mean, and how do I choose it?"""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import optuna
import pytest
import rate_search
from fair_comparison import dense, digits, evaluate

numpy = keras.ops.convert_to_numpy
REPLICAS, N = 20, 1_000_000


def thread_model(rate):
    """The thread's network for all replicas, with the same rate behind both hidden layers."""
    return [
        dense(REPLICAS, 128, "relu"),
        keras.layers.Dropout(rate),
        dense(REPLICAS, 64, "relu"),
        keras.layers.Dropout(rate),
        dense(REPLICAS, 10),
    ]


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(3, 1, N).astype("float32")


@pytest.fixture(scope="module")
def clean():
    """Accuracy at each rate on 200 clean digits."""
    data = digits(200, REPLICAS)
    return {rate: evaluate(lambda r=rate: thread_model(r), data, epochs=100)[0] for rate in (0, 0.2, 0.8)}


@pytest.fixture(scope="module")
def noisy():
    """Accuracy at each rate on 500 digits, 30 % of whose labels are random."""
    data = digits(500, REPLICAS, noise=0.3)
    return {rate: evaluate(lambda r=rate: thread_model(r), data, epochs=50)[0] for rate in (0, 0.2, 0.5)}


def dropped(x, rate):
    keras.utils.set_random_seed(1)
    return numpy(keras.layers.Dropout(rate)(x, training=True))


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.5, 0.8])
def test_the_rate_is_the_fraction_dropped(claim, x, rate):
    """The rate is the fraction dropped: of a million values, `Dropout(0.2)` sets a share of {share_2:.4f} to zero and
    `Dropout(0.8)` a share of {share_8:.4f}."""
    claim.share(f"share_{rate * 10:.0f}", dropped(x, rate) == 0, rate)


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.5, 0.8])
def test_what_is_kept_is_scaled_up(claim, x, rate):
    """What is kept is multiplied by 1/(1 − rate): by {scale_2:.2f} at rate 0.2, by {scale_5:.2f} at 0.5 and by
    {scale_8:.2f} at 0.8."""
    y = dropped(x, rate)
    scale = y[y != 0] / x[y != 0]
    claim.close(f"scale_{rate * 10:.0f}", scale.mean(dtype="float64"), 1 / (1 - rate), 1e-5)
    claim.close(f"spread_{rate * 10:.0f}", scale.max() - scale.min(), 0, 1e-5)


def test_at_inference_nothing_happens(claim, x):
    """At inference nothing happens, at any rate: what goes in comes out, to the last bit."""
    for rate in (0.2, 0.5, 0.8, 1):
        claim.exact(f"same_{rate * 10:.0f}", np.array_equal(numpy(keras.layers.Dropout(rate)(x)), x), True)


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.8])
def test_the_mean_is_kept_and_the_variance_is_not(claim, x, rate):
    """The mean is kept and the variance is not: inputs of mean 3 and variance 1 have a mean of {mean_5:.2f} and a
    variance of {variance_5:.1f} behind `Dropout(0.5)`."""
    y, keep = dropped(x, rate).astype("float64"), 1 - rate
    # Var(y) = E[x²]/(1 − rate) − E[x]², given this x
    variance = (x.astype("float64") ** 2).mean() / keep - x.mean(dtype="float64") ** 2
    claim.sampled(f"mean_{rate * 10:.0f}", y.mean(), x.mean(dtype="float64"), y.std() / N**0.5, N)
    spread = ((y - y.mean()) ** 2).std() / N**0.5
    claim.sampled(f"variance_{rate * 10:.0f}", y.var(), variance, spread, N)


def test_the_number_of_units_kept_varies(claim):
    """The number of units kept is not fixed: of 128, `Dropout(0.5)` keeps {kept:.1f} on average, with a standard
    deviation of {deviation:.1f}."""
    keras.utils.set_random_seed(1)
    n = 20_000
    kept = (numpy(keras.layers.Dropout(0.5)(np.ones((n, 128), "float32"), training=True)) > 0).sum(axis=1)
    sigma = (128 * 0.25) ** 0.5
    claim.sampled("kept", kept.mean(), 64, sigma / n**0.5, n)
    claim.sampled("deviation", kept.std(), sigma, sigma / (2 * n) ** 0.5, n)


def test_a_rate_of_zero_changes_nothing(claim, x):
    """`Dropout(0)` is allowed, and changes nothing in training."""
    claim.exact("zero_changes_nothing", np.array_equal(dropped(x, 0), x), True)


@pytest.mark.only("tensorflow", why="before Keras 3.14 it failed there, and nowhere else")
@pytest.mark.holds("keras>=3.14", why="before, TensorFlow refuses it in training", raises=ValueError)
def test_a_rate_of_one_puts_out_zeros(claim, x):
    """`Dropout(1)` is allowed, and puts out zeros in training."""
    claim.exact("left_by_one", int(np.count_nonzero(dropped(x, 1))), 0)


@pytest.mark.only("jax", "torch", why="on TensorFlow it depends on the version")
def test_a_rate_of_one_puts_out_zeros_in_every_version(claim, x):
    """`Dropout(1)` is allowed, and puts out zeros in training, on JAX and PyTorch in every version of Keras 3."""
    claim.exact("left_by_one_elsewhere", int(np.count_nonzero(dropped(x, 1))), 0)


@pytest.mark.only("torch", why="it is about PyTorch")
def test_pytorch_calls_it_p(claim, x):
    """`torch.nn.Dropout(p=0.2)` drops a share of {torch_dropped:.2f} in training and multiplies the rest by
    {torch_factor:.2f}: its `p` is the rate."""
    import torch

    torch.manual_seed(0)
    y = torch.nn.Dropout(p=0.2)(torch.ones(1000, 100)).numpy()
    claim.share("torch_dropped", y == 0, 0.2)
    claim.close("torch_factor", y.max(), 1.25, 1e-6)


@pytest.mark.parametrize("wrong", [20, 256, 1.1, -0.1])
def test_a_rate_outside_zero_to_one_is_an_error(claim, wrong):
    """In Keras 3 a rate outside 0 to 1 is a `ValueError`: “{message_20}”"""
    with pytest.raises(ValueError) as error:
        keras.layers.Dropout(wrong)
    expected = (
        f"Invalid value received for argument `rate`. Expected a float value between 0 and 1. Received: rate={wrong}"
    )
    claim.exact(f"message_{wrong}", str(error.value), expected)


@pytest.mark.only("tensorflow", why="Keras 2 runs on TensorFlow alone")
def test_in_keras_2_a_rate_of_one_fails_in_training(claim, x):
    """In Keras 2 `Dropout(1.0)` is made without an error, passes its input through at inference, and fails in training:
    “{keras2_message}”"""
    import tf_keras

    layer = tf_keras.layers.Dropout(1.0)
    claim.exact("keras2_inference", np.array_equal(layer(x).numpy(), x), True)
    with pytest.raises(ValueError) as error:
        layer(x, training=True)
    said = next(line for line in str(error.value).splitlines() if "rate" in line)
    claim.exact(
        "keras2_message",
        said,
        "`rate` must be a scalar tensor or a float in the range [0, 1). Received: rate=1.0",
    )


@pytest.mark.only("tensorflow", why="Keras 2 runs on TensorFlow alone")
def test_in_keras_2_a_rate_outside_zero_to_one_is_an_error_too(claim):
    """In Keras 2 a rate outside 0 to 1 is a `ValueError` too: “{keras2_outside}”"""
    import tf_keras

    with pytest.raises(ValueError) as error:
        tf_keras.layers.Dropout(20)
    expected = "Invalid value 20 received for `rate`, expected a value between 0 and 1."
    claim.exact("keras2_outside", str(error.value), expected)


def test_two_in_a_row_act_as_one(claim):
    """Two in a row act as one: rates 0.3 and 0.5 together drop a share of {share:.3f}, as one of 0.65 does."""
    keras.utils.set_random_seed(1)
    ones = np.ones(N, "float32")
    both = numpy(keras.layers.Dropout(0.5)(keras.layers.Dropout(0.3)(ones, training=True), training=True))
    claim.share("share", both == 0, 1 - 0.7 * 0.5)
    claim.close("scale", both.max(), 1 / (0.7 * 0.5), 1e-5)


def test_point_eight_in_both_layers_is_harmful_on_few_examples(claim, clean):
    """On 200 clean digits, 0.8 behind both hidden layers changes accuracy by {clean_8.interval:+.1f} percentage points,
    and 0.2 by {clean_2.interval:+.2f}, over {clean_8.n} paired replicas."""
    claim.trained("clean_8", clean[0.8] - clean[0], below=-2)
    claim.trained("clean_2", clean[0.2] - clean[0], above=-1, below=1)


def test_the_best_rate_depends_on_the_data(claim, noisy):
    """With 500 digits and 30 % random labels, 0.5 is better than 0.2 by {half_over_fifth.interval:+.1f} percentage
    points, and 0.2 better than none by {fifth_over_none.interval:+.1f}."""
    claim.trained("half_over_fifth", noisy[0.5] - noisy[0.2], above=0)
    claim.trained("fifth_over_none", noisy[0.2] - noisy[0], above=0)


def test_several_processes_share_one_search(claim, tmp_path):
    """Two processes that name the same storage add to one search: two trials each make {trials}."""
    storage, code = tmp_path / "shared.log", Path(rate_search.__file__)
    workers = [
        subprocess.Popen([sys.executable, str(code), "2", str(storage)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    claim.exact("failed_processes", sum(worker.wait(timeout=240) != 0 for worker in workers), 0)
    backend = optuna.storages.journal.JournalFileBackend(str(storage))
    study = optuna.load_study(study_name="rates", storage=optuna.storages.JournalStorage(backend))
    claim.exact("trials", len(study.trials), 4)
    claim.exact("numbers", sorted(trial.number for trial in study.trials), [0, 1, 2, 3])


def test_keep_prob_as_rate_drops_what_it_should_keep(claim, program):
    """The wrong twin: a `keep_prob` of 0.8 passed as the rate keeps a share of {kept_wrong:.2f} instead of {kept_right:.2f}."""
    twin = program("rate_wrong")
    claim.share("kept_wrong", numpy(twin["wrong"]) != 0, 0.2)
    claim.share("kept_right", numpy(twin["right"]) != 0, 0.8)
