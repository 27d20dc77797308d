"""Is dropout worth it on a small model?"""

import keras
import numpy as np
import pytest
from does_it_help import calibration_error, judge, network
from fair_comparison import digits

REPLICAS = 10


@pytest.fixture(scope="module")
def noisy():
    """500 digits, 30 % of whose labels are random, trained long: each measure for each arm."""
    data = digits(500, REPLICAS, noise=0.3)
    arms = {"none": (0, 100), "half": (0.5, 100), "stopped": (0, 20)}
    return {
        name: judge(lambda r=rate: network(REPLICAS, r), data, epochs=epochs) for name, (rate, epochs) in arms.items()
    }


@pytest.fixture(scope="module")
def clean(study):
    """Clean digits at several training-set sizes, and each measure at each rate."""
    replicas, found = (4, {}) if study.short else (20, {})
    for n in (200,) if study.short else (100, 200, 700):
        data = digits(n, replicas)
        found[n] = {
            rate: judge(lambda r=rate: network(replicas, r), data, epochs=100)
            for rate in (0, 0.2, 0.5, *((0.8,) if n == 200 else ()))
        }
        keras.utils.clear_session()
    return found


@pytest.fixture(scope="module")
def widths(study):
    """200 clean digits, 32 and 16 units or 256 and 128: each measure, without dropout and with 0.5."""
    replicas, found = (4, {}) if study.short else (20, {})
    data = digits(200, replicas)
    for width in (32,) if study.short else (32, 256):
        found[width] = {
            rate: judge(lambda r=rate, w=width: network(replicas, r, w), data, epochs=100) for rate in (0, 0.5)
        }
    return found


def change(runs, measure, arm, base=0):
    return runs[arm][measure] - runs[base][measure]


def test_with_wrong_labels_accuracy_rises(claim, noisy):
    """With 500 digits, 30 % random labels and 100 epochs, 0.5 behind both hidden layers takes accuracy from
    {noisy_none:.1f} % to {noisy_half:.1f} %: {noisy_accuracy.interval:+.1f} percentage points over {noisy_accuracy.n}
    paired replicas."""
    claim.trained("noisy_none", noisy["none"]["accuracy"], above=70, below=85)
    claim.trained("noisy_half", noisy["half"]["accuracy"], above=88)
    claim.trained("noisy_accuracy", change(noisy, "accuracy", "half", "none"), above=8)


def test_with_wrong_labels_the_loss_falls(claim, noisy):
    """On the same digits the test loss, {noisy_none_loss:.2f} without dropout, changes by {noisy_loss.interval:+.2f}."""
    claim.trained("noisy_none_loss", noisy["none"]["loss"], above=0)
    claim.trained("noisy_loss", change(noisy, "loss", "half", "none"), below=0)


def test_with_wrong_labels_calibration_gets_worse(claim, noisy):
    """On the same digits the calibration error on clean test labels, {noisy_none_error:.1f} % without dropout, changes
    by {noisy_error.interval:+.1f} points: confidence minus accuracy is {under.interval:+.1f} points, so it is too low."""
    claim.trained("noisy_none_error", noisy["none"]["error"], above=0)
    claim.trained("noisy_error", change(noisy, "error", "half", "none"), above=5)
    confidence = 100 * noisy["half"]["probabilities"].max(-1).mean(0)
    claim.trained("under", confidence - noisy["half"]["accuracy"], below=-5)


def test_against_equally_wrong_labels_calibration_gets_better(claim, noisy):
    """Against test labels of which 30 % are random too, the calibration error, {noisy_none_error_too:.1f} % without
    dropout, changes by {noisy_error_too.interval:+.1f} points instead."""
    labels, rng = digits(500, REPLICAS)[3], np.random.default_rng(1)
    labels = np.where(rng.random(labels.shape) < 0.3, rng.integers(0, 10, labels.shape), labels)
    none, half = (calibration_error(noisy[arm]["probabilities"], labels) for arm in ("none", "half"))
    claim.trained("noisy_none_error_too", none, above=0)
    claim.trained("noisy_error_too", half - none, below=0)


def test_stopping_early_does_as_well_in_accuracy(claim, noisy):
    """On the same digits, stopping after 20 epochs without dropout changes accuracy by
    {stopped_accuracy.interval:+.1f} percentage points against 100 epochs, and differs from 0.5 for 100 epochs by
    {stopped_half.interval:+.1f}; its loss by {stopped_loss.interval:+.2f}, and its calibration error by
    {stopped_error.interval:+.1f} points."""
    claim.trained("stopped_accuracy", change(noisy, "accuracy", "stopped", "none"), above=8)
    claim.trained("stopped_half", change(noisy, "accuracy", "stopped", "half"), above=-3, below=3)
    claim.trained("stopped_loss", change(noisy, "loss", "stopped", "half"), above=0)
    claim.trained("stopped_error", change(noisy, "error", "stopped", "half"), above=0)


@pytest.mark.study
def test_on_clean_digits_accuracy_hardly_moves(claim, clean):
    """On clean digits accuracy hardly moves: 0.2 behind both layers changes it by {accuracy_100_2.interval:+.2f}
    percentage points with 100 examples, {accuracy_200_2.interval:+.2f} with 200 and {accuracy_700_2.interval:+.2f} with
    700; 0.5 by {accuracy_100_5.interval:+.2f}, {accuracy_200_5.interval:+.2f} and {accuracy_700_5.interval:+.2f}."""
    for n, runs in clean.items():
        claim.trained(f"level_{n}", runs[0]["accuracy"], above=80)
        for rate in (0.2, 0.5):
            claim.trained(f"accuracy_{n}_{rate * 10:.0f}", change(runs, "accuracy", rate), above=-2, below=2)


@pytest.mark.study
def test_on_clean_digits_a_low_rate_lowers_the_loss(claim, clean):
    """On clean digits 0.2 lowers the test loss a little: with 200 examples it is {loss_200:.3f} without dropout, and
    changes by {loss_200_2.interval:+.3f}; 0.5 lowers it with 700 examples, by {loss_700_5.interval:+.3f}, and with 100 no
    difference shows, {loss_100_5.interval:+.3f}."""
    for n, runs in clean.items():
        claim.trained(f"loss_{n}", runs[0]["loss"], above=0)
        claim.trained(f"loss_{n}_2", change(runs, "loss", 0.2), below=0)
        bounds = {"below": 0} if n == 700 else {"above": -0.05, "below": 0.05}
        claim.trained(f"loss_{n}_5", change(runs, "loss", 0.5), **bounds)


@pytest.mark.study
def test_on_clean_digits_calibration_hardly_moves_at_a_low_rate(claim, clean):
    """On clean digits the calibration error, {error_200:.1f} % with 200 examples, changes by less than one point at
    0.2, there by {error_200_2.interval:+.2f}; at 0.5 it rises with 100 examples, by {error_100_5.interval:+.1f}."""
    for n, runs in clean.items():
        claim.trained(f"error_{n}", runs[0]["error"], above=0)
        claim.trained(f"error_{n}_2", change(runs, "error", 0.2), above=-1, below=1)
        bounds = {100: {"above": 0}, 200: {"above": -2, "below": 2}, 700: {"above": -1, "below": 1}}[n]
        claim.trained(f"error_{n}_5", change(runs, "error", 0.5), **bounds)


@pytest.mark.study
def test_point_eight_is_harmful_in_every_respect(claim, clean):
    """On 200 clean digits, 0.8 behind both layers changes accuracy by {accuracy_8.interval:+.1f} percentage points, the
    loss by {loss_8.interval:+.2f} and the calibration error by {error_8.interval:+.1f} points."""
    claim.trained("accuracy_8", change(clean[200], "accuracy", 0.8), below=-3)
    claim.trained("loss_8", change(clean[200], "loss", 0.8), above=0.3)
    claim.trained("error_8", change(clean[200], "error", 0.8), above=10)


@pytest.mark.study
def test_a_narrow_network_suffers_and_a_wide_one_does_not(claim, widths):
    """On 200 clean digits and in the same 100 epochs, 0.5 changes the accuracy of a network of 32 and 16 units by
    {narrow_accuracy.interval:+.1f} percentage points, that of one of 256 and 128 by {wide_accuracy.interval:+.2f}, and
    the latter's loss by {wide_loss.interval:+.3f}."""
    claim.trained("narrow_accuracy", change(widths[32], "accuracy", 0.5), below=-3)
    claim.trained("narrow_loss", change(widths[32], "loss", 0.5), above=0)
    if 256 in widths:
        claim.trained("wide_accuracy", change(widths[256], "accuracy", 0.5), above=-1, below=1)
        claim.trained("wide_loss", change(widths[256], "loss", 0.5), below=0.02)


def test_the_calibration_error_is_what_its_definition_says(claim):
    """The calibration error is zero where half of the answers given with confidence 0.5 are right, and {over:.0f}
    points where all answers are given with confidence 1 and half of them are right."""
    labels = np.array([0, 1] * 50)[:, None]
    fair, sure = (np.tile([p, 1 - p], (100, 1, 1)) for p in (0.5, 1.0))
    claim.close("fair", calibration_error(fair, labels)[0], 0, 1e-9)
    claim.close("over", calibration_error(sure, labels)[0], 50, 1e-9)


def test_strong_dropout_hurts_a_small_network(claim, program):
    """The wrong twin: with 32 and 16 units, 0.5 behind both layers changes accuracy by {twin_accuracy.interval:+.1f}
    percentage points and the loss by {twin_loss.interval:+.2f}, over {twin_loss.n} paired replicas."""
    twin = program("does_it_help_wrong")
    claim.trained("twin_accuracy", twin["dropped"]["accuracy"] - twin["without"]["accuracy"], below=0)
    claim.trained("twin_loss", twin["dropped"]["loss"] - twin["without"]["loss"], above=0)
