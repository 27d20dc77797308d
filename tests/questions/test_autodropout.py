"""What is AutoDropout, and where is its code?"""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import autodropout_search
import keras
import numpy as np
import optuna
import pytest
from autodropout import AutoDropout, pattern
from autodropout_network import METHODS, SIDES, drop
from autodropout_search import SPLITS, TRIALS, search
from autodropout_search import scores as evaluate_trials
from conv_layers_dropblock import DropBlock2D, gamma
from fair_comparison import digits

from kb import evidence

numpy = keras.ops.convert_to_numpy
optuna.logging.set_verbosity(optuna.logging.WARNING)


def run(layer, *maps, n=64, channels=16, side=8):
    """What the layer makes of ones in training: `(n, side, side, channels)`."""
    keras.utils.set_random_seed(1)
    ones = np.ones((n, side, side, channels), "float32")
    return numpy(layer(ones, *maps, training=True))


def test_a_pattern_is_tiled_squares(claim):
    """A pattern is `repeat` × `repeat` squares of `size`, one every `stride` pixels: two by two of size 3
    drop {dropped_3} pixels, three by three of size 2 also {dropped_2}, and four by four of size 1 {dropped_1}."""
    for size, stride, repeat in ((3, 3, 2), (2, 5, 3), (1, 2, 4)):
        line = np.zeros((repeat - 1) * stride + size, bool)
        for start in range(0, repeat * stride, stride):
            line[start : start + size] = True
        tiled = pattern(16, 16, size, stride, repeat)
        ys, xs = np.nonzero(tiled)
        box = tiled[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
        claim.exact(f"tiled_{size}", np.array_equal(box, np.outer(line, line)), True)
        claim.exact(f"dropped_{size}", int(tiled.sum()), (size * repeat) ** 2)


def test_a_turn_by_45_degrees_makes_a_diamond(claim):
    """Turned by 45 degrees, a square is a diamond, pixel by pixel: size 8 drops {square} pixels, turned {diamond}. A
    quarter turn changes nothing."""
    y, x = np.abs(np.mgrid[:32, :32] - 15.5)
    turned = pattern(32, 32, 8, 8, 1, rotate=45)
    claim.exact("is_a_diamond", np.array_equal(turned, x + y < 4 * 2**0.5), True)
    claim.exact("square", int(pattern(32, 32, 8, 8, 1).sum()), 64)
    claim.exact("diamond", int(turned.sum()), int((x + y < 4 * 2**0.5).sum()))
    tiled = pattern(32, 32, 2, 5, 3)
    claim.exact("quarter_turn", np.array_equal(pattern(32, 32, 2, 5, 3, rotate=90), tiled), True)


def test_shear_moves_each_row_by_the_same_step(claim):
    """`shear_x=1` moves each row of a square one pixel further than the row above, and leaves {per_row} pixels in it;
    `shear_y` does the same to columns."""
    sheared = pattern(32, 32, 8, 8, 1, shear_x=1)
    rows = [np.flatnonzero(row) for row in sheared if row.any()]
    claim.exact("rows", len(rows), 8)
    claim.exact("per_row", min(len(row) for row in rows), 8)
    claim.exact("widest", max(len(row) for row in rows), 8)
    claim.exact("steps", sorted({int(b[0] - a[0]) for a, b in pairwise(rows)}), [1])
    claim.exact("columns_too", np.array_equal(pattern(32, 32, 8, 8, 1, shear_y=1), sheared.T), True)


def test_each_map_loses_the_same_number_and_keeps_its_mean(claim):
    """Each map of each example loses the same number of values, {dropped} of 64 for two by two squares of 2, and the
    mean of a constant map stays {mean:.2f}: no chance is left in either."""
    y = run(AutoDropout(2, 3, 2))
    claim.exact("dropped", int((y == 0).sum(axis=(1, 2)).max()), 16)
    claim.exact("least", int((y == 0).sum(axis=(1, 2)).min()), 16)
    claim.close("mean", y.mean(axis=(1, 2)).max(), 1, 1e-5)
    claim.close("lowest_mean", y.mean(axis=(1, 2)).min(), 1, 1e-5)
    claim.close("scale", y.max(), 1 / (1 - 16 / 64), 1e-5)


def test_each_position_is_dropped_equally_often(claim):
    """Each position is dropped equally often, the corner ({corner:.3f}) as the middle ({middle:.3f}): the share of the
    pattern, 0.25."""
    zero = run(AutoDropout(2, 3, 2), n=2000) == 0
    claim.share("corner", zero[:, 0, 0], 0.25)
    claim.share("middle", zero[:, 4, 4], 0.25)


def test_channels_share_a_place_or_do_not(claim):
    """With `share_c=True` all 16 channels of an example lose the same pixels ({shared} place), otherwise each channel
    has a place of its own; another example has another one either way."""
    shared, own = run(AutoDropout(3, 3, 1, share_c=True)), run(AutoDropout(3, 3, 1))

    def places(maps):  # each a row of `maps`
        return len(np.unique(maps.reshape(len(maps), -1), axis=0))

    claim.exact("shared", max(places(np.moveaxis(example, -1, 0)) for example in shared), 1)
    claim.exact("own", min(places(np.moveaxis(example, -1, 0)) for example in own) > 1, True)
    claim.exact("examples_differ", places(shared) > 1, True)


def test_the_shortcut_is_spared_or_not(claim):
    """With `residual=False` the shortcut passes whole, {spared} of its values zeroed; with `residual=True` it loses the
    same pixels as what it is added to, a share of {cut:.2f}."""
    shortcut = np.full((64, 8, 8, 16), 10.0, "float32")
    spared, cut = (run(AutoDropout(4, 4, 1, residual=r), shortcut) for r in (False, True))
    claim.exact("spared", int((spared < 10).sum()), 0)
    claim.close("shortcut_kept", spared.min(), 10, 1e-5)
    claim.close("cut", (cut == 0).mean(), 0.25, 1e-9)
    claim.close("both_scaled", cut.max(), 11 / 0.75, 1e-4)


def test_at_inference_nothing_happens(claim):
    """At inference, and in training with `size=0`, what goes in comes out, to the last bit."""
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")
    claim.exact("inference", np.array_equal(numpy(AutoDropout(3, 4, 2)(x)), x), True)
    claim.exact("size_0", np.array_equal(numpy(AutoDropout(0, 1, 1)(x, training=True)), x), True)


def test_a_pattern_may_cover_the_map_and_may_be_half_precise(claim):
    """A pattern that covers the map leaves {left} values, as `Dropout(1)` does, without an error; and with mixed
    precision the layer puts out {dtype}."""
    claim.exact("left", int(np.count_nonzero(run(AutoDropout(8, 8, 1)))), 0)
    ones = np.ones((2, 8, 8, 1), "float32")
    y = AutoDropout(2, 3, 2, dtype="mixed_float16")(ones, training=True)
    claim.exact("dtype", keras.backend.standardize_dtype(y.dtype), "float16")


def test_one_square_to_a_map_is_not_dropblock(claim):
    """With `repeat=1` there is one square in each map, always. DropBlock draws how many: at the same rate and size it
    leaves a share of {whole:.2f} of the maps whole, and this layer {whole_here}."""
    one, drawn = (run(layer) == 0 for layer in (AutoDropout(3, 3, 1), DropBlock2D(9 / 64, 3)))
    claim.exact("whole_here", int((one.sum(axis=(1, 2)) == 0).sum()), 0)
    claim.share("whole", drawn.sum(axis=(1, 2)) == 0, (1 - gamma(9 / 64, 3, 8, 8)) ** 36)


def test_overlapping_squares_are_an_error(claim):
    """Squares that would overlap are a `ValueError`: “{message}”"""
    with pytest.raises(ValueError) as error:
        AutoDropout(size=3, stride=2, repeat=2)
    claim.exact("message", str(error.value), "0 <= size <= stride, 1 <= repeat: got 3, 2, 2")


def test_the_layer_survives_saving(claim):
    """Its configuration makes the same layer again, so that a model with it can be saved."""
    config = AutoDropout(2, 3, 2, share_c=True, residual=True, rotate=30, shear_x=0.5).get_config()
    claim.exact("same", AutoDropout.from_config(config).get_config() == config, True)


@pytest.mark.only("tensorflow", "jax", why="PyTorch does not compile the training step")
def test_a_numpy_mask_is_drawn_once(claim, program):
    """The wrong twin: in 20 training steps a layer that asks NumPy for its mask uses {frozen} mask, the one from when
    the step was compiled; the layer above uses more than ten."""
    twin = program("autodropout_wrong")
    claim.exact("frozen", twin["wrong"], 1)
    claim.exact("more_than_ten", twin["right"] > 10, True)


def test_processes_share_a_search_and_a_second_run_continues_it(claim, tmp_path):
    """Two processes that run the same command on the same storage add to one search: a round of eight trials each makes
    {trials}."""
    storage, code = tmp_path / "shared.log", Path(autodropout_search.__file__)
    command = [sys.executable, str(code), "Dropout", "1", str(storage), "2"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    workers = [subprocess.Popen(command, **pipes) for _ in range(2)]
    claim.exact("failed_processes", sum(worker.wait(timeout=400) != 0 for worker in workers), 0)
    backend = optuna.storages.journal.JournalFileBackend(str(storage))
    study = optuna.load_study(study_name="Dropout", storage=optuna.storages.JournalStorage(backend))
    claim.exact("trials", len(study.trials), 16)
    claim.exact("finished", len(study.get_trials(states=[optuna.trial.TrialState.COMPLETE])), 16)


ROUNDS = 6  # of eight trials; the first two are random, since Optuna starts to learn from ten finished trials
ONE_SEARCH = pytest.mark.only("tensorflow", why="a search is one draw, and this is the one that ran on TensorFlow")


@pytest.fixture(scope="module")
def found(study, tmp_path_factory, pytestconfig):
    """What a search chose with each method; in the short form, what the recorded search chose."""
    if not study.short:
        storage = str(tmp_path_factory.mktemp("search") / "trials.log")
        return {method: search(method, ROUNDS, storage, seed=0).best_params for method in METHODS}
    values = evidence.values(pytestconfig.rootpath).get("autodropout", {})
    chosen = {method: {} for method in METHODS}
    for name, value in values.items():
        method, _, decision = name.partition("_")
        if method in METHODS:
            chosen[method][decision] = value.value
    if not all(chosen.values()):
        pytest.skip("no search is recorded yet: make record STUDY=autodropout")
    return chosen


@pytest.fixture(scope="module")
def scores(study, found):
    """Test accuracy and loss on fresh splits, of what a search chose with each method, and of no dropout."""
    chosen = found | {"no dropout": {"rate_8": 0.0, "rate_4": 0.0}}
    if study.short:
        chosen = {method: chosen[method] for method in ("Dropout", "AutoDropout")}
    data = [part[:, SPLITS:] for part in digits(300, SPLITS + (4 if study.short else 20), noise=0.3)]
    trials = {method: [optuna.trial.FixedTrial(parameters)] for method, parameters in chosen.items()}
    kinds = {method: method if method in METHODS else "Dropout" for method in chosen}
    return {method: evaluate_trials(kinds[method], trials[method], data) for method in chosen}


@ONE_SEARCH
@pytest.mark.study
@pytest.mark.timeout(1800)
def test_what_the_search_chose(claim, found):
    """After {trials_of_each} trials of each method, the pattern that the search chose drops a share of {share_8:.3f} of each map
    behind the first convolution and of {share_4:.3f} behind the second; the rates that it chose for Dropout are
    {Dropout_rate_8:.1f} and {Dropout_rate_4:.1f}. The network takes every choice as it is."""
    claim.exact("trials_of_each", ROUNDS * TRIALS, 48)
    for method, decisions in found.items():
        for decision, choice in decisions.items():  # recorded for the page, and for the short form
            claim.exact(f"{method}_{decision}", choice, choice)
        trial = optuna.trial.FixedTrial(decisions)
        layer = {side: drop(method, trial, side) for side in SIDES}
        claim.exact(f"suggested_{method}", trial.params == decisions, True)
        for side in SIDES if method == "AutoDropout" else ():
            zero = run(layer[side], side=side) == 0
            claim.close(f"share_{side}", zero.mean(), pattern(side, side, **layer[side].pattern).mean(), 1e-9)


def differences(claim, scores, which, above, below):
    for rival in scores:
        if rival != "AutoDropout":
            pairs = scores["AutoDropout"][which][0] - scores[rival][which][0]
            claim.trained(f"{('accuracy', 'loss')[which]}_{rival.replace(' ', '_')}", pairs, above=above, below=below)


@ONE_SEARCH
@pytest.mark.study
@pytest.mark.timeout(1800)
def test_the_accuracy_of_searched_patterns(claim, scores):
    """After 48 trials for each method, on {accuracy_Dropout.n} fresh paired splits, AutoDropout's test accuracy is ahead
    of each rival's, and by less than 3 percentage points: it differs from that of tuned Dropout by {accuracy_Dropout.interval:+.1f}, of SpatialDropout2D by
    {accuracy_SpatialDropout2D.interval:+.1f}, of DropBlock by {accuracy_DropBlock2D.interval:+.1f}, and of no dropout by
    {accuracy_no_dropout.interval:+.1f}."""
    differences(claim, scores, 0, above=0, below=3)


@ONE_SEARCH
@pytest.mark.study
@pytest.mark.timeout(1800)
def test_the_loss_of_searched_patterns(claim, scores):
    """Its test loss, which the search minimised on other splits, lies within 0.05: it differs from that of tuned Dropout by
    {loss_Dropout.interval:+.3f}, of SpatialDropout2D by {loss_SpatialDropout2D.interval:+.3f}, of DropBlock by
    {loss_DropBlock2D.interval:+.3f}, and of no dropout by {loss_no_dropout.interval:+.3f}."""
    differences(claim, scores, 1, above=-0.05, below=0.05)
