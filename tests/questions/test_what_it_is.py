"""What is dropout, and what is it not?"""

import itertools

import keras
import numpy as np
import pytest
from fair_comparison import at_once, batches, dense, digits, evaluate
from scipy import stats
from what_it_is_backward import forward, gradients
from what_it_is_ensemble import all_masks, arithmetic, geometric

numpy, layers = keras.ops.convert_to_numpy, keras.layers
REPLICAS = 8


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


def losses(y, logits):
    return numpy(keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True))


# ------------------------------------------------------------------------------------------- what it does


@pytest.fixture(scope="module")
def values():
    return np.random.default_rng(0).normal(size=(10_000, 128)).astype("float32")


def test_the_shape_stays(claim, values):
    """A Dropout layer puts out the shape that it was given, in training too, and has {weights} weights: what is dropped is a
    zero in its place, and what is kept is twice itself at rate 0.5, in its own place."""
    layer = layers.Dropout(0.5)
    out = numpy(layer(values, training=True))
    kept = out != 0
    claim.exact("shape", out.shape, (10_000, 128))
    claim.share("zeros", ~kept, 0.5)
    claim.exact("kept_in_place", bool(np.array_equal(out[kept], 2 * values[kept])), True)
    claim.exact("static_shape", layers.Dropout(0.5)(keras.Input((7, 3))).shape, (None, 7, 3))
    claim.exact("weights", layer.count_params(), 0)


def test_how_many_are_dropped_is_chance(claim, values):
    """Of 128 values at rate 0.5 it drops {mean:.1f} on average with a standard deviation of {spread:.1f}; exactly 64 it
    drops in a share of {exactly:.3f} of the examples."""
    counts = (numpy(layers.Dropout(0.5)(values, training=True)) == 0).sum(axis=1)
    n, sigma = len(counts), np.sqrt(128 * 0.5 * 0.5)
    claim.sampled("mean", counts.mean(), 64, sigma / np.sqrt(n), n)
    claim.sampled("spread", counts.std(), sigma, sigma / np.sqrt(2 * n), n)
    claim.share("exactly", counts == 64, stats.binom.pmf(64, 128, 0.5))


def test_small_layers_lose_all_or_nothing(claim):
    """Of 4 values at rate 0.5 it drops all in a share of {all_dropped:.3f} of the examples, and none in
    {none_dropped:.3f}."""
    counts = (numpy(layers.Dropout(0.5)(np.ones((20_000, 4)), training=True)) == 0).sum(axis=1)
    claim.share("all_dropped", counts == 4, 1 / 16)
    claim.share("none_dropped", counts == 0, 1 / 16)


def test_it_drops_noisy_values_as_often_as_others(claim):
    """It does not look at the values: of a signal with noise on it, at rate 0.2, it drops a share of {of_noisy:.3f} of the
    noisiest tenth, and {of_rest:.3f} of the rest."""
    rng = np.random.default_rng(0)
    signal = 2 + np.sin(np.linspace(0, 20 * np.pi, 200_000))
    noise = rng.normal(scale=0.3, size=signal.size)
    dropped = numpy(layers.Dropout(0.2)((signal + noise).astype("float32"), training=True)) == 0
    noisy = np.abs(noise) > np.quantile(np.abs(noise), 0.9)
    claim.share("of_noisy", dropped[noisy], 0.2)
    claim.share("of_rest", dropped[~noisy], 0.2)


def test_it_adds_noise(claim):
    """It adds noise: the same signal is further from its clean form behind the layer than in front of it, by a factor of
    {further:.1f} in root mean square."""
    rng = np.random.default_rng(0)
    signal = 2 + np.sin(np.linspace(0, 20 * np.pi, 200_000))
    noisy = (signal + rng.normal(scale=0.3, size=signal.size)).astype("float32")
    behind = numpy(layers.Dropout(0.2)(noisy, training=True))
    squares = (behind - signal) ** 2
    # dropped: the signal itself is the error; kept: the scaled value against it
    expected = np.mean(0.2 * signal**2 + 0.8 * (noisy / 0.8 - signal) ** 2)
    claim.sampled("squared_error", squares.mean(), expected, squares.std() / np.sqrt(len(squares)), len(squares))
    before = np.mean((noisy - signal) ** 2)
    claim.close("further", np.sqrt(squares.mean() / before), np.sqrt(expected / before), 0.05)


def test_nothing_is_removed_for_good(claim):
    """Training with it removes nothing for good: after five epochs with 0.5 behind 64 units, no weight of the network is
    zero, every unit was dropped and kept, and at inference all outputs are there."""
    x, y = (part[:, 0] for part in digits(500, 1)[:2])
    model = keras.Sequential([keras.Input((64,)), layers.Dense(64), layers.Dropout(0.5), layers.Dense(10)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, epochs=5, verbose=0)
    kernel = numpy(model.layers[2].kernel)
    claim.exact("zero_weights", int((kernel == 0).sum()), 0)
    hidden = keras.Model(model.inputs[0], model.layers[1].output)
    claim.exact("zeros_at_inference", int((numpy(hidden(x)) == 0).sum()), 0)
    dropped = numpy(hidden(x, training=True)) == 0
    claim.exact("units_always_dropped_or_kept", int((dropped.all(0) | ~dropped.any(0)).sum()), 0)


# ------------------------------------------------------------------------------------------- backwards


def case(units=8, seed=0):
    """A small network with a hidden layer for the arithmetic: an example, its target, and both kernels."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(1, 20)), rng.normal(size=(1, 3))
    return x, y, rng.normal(size=(20, units)) / 4, rng.normal(size=(units, 3))


def measured(loss, first, step=1e-6):
    """How a loss changes with each weight of the first layer, by moving one after the other."""
    slopes = np.zeros_like(first)
    for i, j in np.ndindex(*first.shape):
        up, down = first.copy(), first.copy()
        up[i, j] += step
        down[i, j] -= step
        slopes[i, j] = (loss(up) - loss(down)) / (2 * step)
    return slopes


MASK = np.array([0, 2, 2, 0, 2, 0, 0, 2.0])


def test_the_gradient_by_hand_is_that_of_keras(claim, program):
    """The backward pass written by hand, with the mask and its scale in it, gives the gradient of a step of Keras."""
    names = program("what_it_is_backward")
    for layer, ours, keras_ in zip(("first", "second"), names["by_hand"], names["steps"], strict=True):
        claim.close(f"largest_difference_{layer}", np.abs(ours - keras_).max(), 0, 1e-4)
    claim.exact("some_dropped", bool(0 < np.count_nonzero(names["mask"]) < 8), True)


def test_the_mask_comes_again_backwards(claim):
    """With the mask and the factor in it, the gradient by hand is how the loss really changes: for kept units it carries the
    factor {factor:.0f}, and for dropped ones it is zero."""
    x, y, first, second = case()
    by_hand, _ = gradients(x, y, first, second, MASK)
    true = measured(lambda w: forward(x, y, w, second, MASK)[2], first)
    claim.close("largest_difference", np.abs(by_hand - true).max(), 0, 1e-6)
    claim.exact("dropped_are_zero", bool((by_hand[:, MASK == 0] == 0).all()), True)
    hidden, output, _ = forward(x, y, first, second, MASK)
    unscaled = x.T @ ((output - y) @ second.T * (1 - hidden**2))
    claim.close("factor", np.median((by_hand / unscaled)[:, MASK > 0]), 2, 1e-9)


def test_leaving_the_mask_out_moves_weights_of_dropped_units(claim, program):
    """The wrong twin: without the mask backwards, the weights that leave a dropped unit stay, since its activation is zero,
    but the weights that lead to it move, although the loss does not depend on them."""
    twin = program("what_it_is_wrong")
    dropped = twin["mask"] == 0
    claim.exact("leaving_stay", bool((twin["wrong"][1][dropped] == 0).all()), True)
    claim.exact("leading_move", bool((twin["wrong"][0][:, dropped] != 0).all()), True)
    claim.close("loss_depends_on_them", np.abs(twin["true"][:, dropped]).max(), 0, 1e-9)


def test_another_mask_backwards_is_no_gradient(claim):
    """With another mask backwards than forwards, it is the gradient of neither: it differs from that of the loss with the
    first mask and from that with the second one."""
    x, y, first, second = case()
    other = MASK[::-1].copy()
    hidden, output, _ = forward(x, y, first, second, MASK)
    mixed = x.T @ ((output - y) @ second.T * other * (1 - hidden**2))
    for name, mask in (("first_mask", MASK), ("second_mask", other)):
        right, _ = gradients(x, y, first, second, mask)
        claim.exact(f"differs_from_{name}", bool(np.abs(mixed - right).max() > 0.1), True)


class MaskForwardsOnly(keras.layers.Layer):
    """Dropout whose gradient passes as if nothing had been dropped: the mistake, as a layer."""

    def __init__(self, rate):
        super().__init__()
        self.dropout = layers.Dropout(rate)

    def call(self, inputs, training=None):
        dropped = self.dropout(inputs, training=training)
        return inputs + keras.ops.stop_gradient(dropped - inputs)


@pytest.mark.study
def test_training_survives_the_mistake(claim, study):
    """Training survives the mistake: on 500 digits with 30 % random labels, 0.5 behind both hidden layers with the mask
    forwards only differs by {mistake.interval:+.1f} percentage points of test accuracy from real Dropout, and by
    {saved.interval:+.1f} from none."""
    replicas = 4 if study.short else 20
    data, found = digits(500, replicas, noise=0.3), {}
    for name, layer in {"none": lambda: layers.Dropout(0), "right": lambda: layers.Dropout(0.5)}.items():
        found[name] = trained(replicas, layer, data)
    found["mistake"] = trained(replicas, lambda: MaskForwardsOnly(0.5), data)
    claim.trained("mistake", found["mistake"] - found["right"], below=0)
    claim.trained("saved", found["mistake"] - found["none"], above=3)


def trained(replicas, drop, data):
    """Test accuracy of the network of 128 and 64 units with what `drop` makes behind both hidden layers."""
    hidden = [dense(replicas, 128, "relu"), dense(replicas, 64, "relu")]
    return evaluate(lambda: [hidden[0], drop(), hidden[1], drop(), dense(replicas, 10)], data, epochs=60)[0]


# ------------------------------------------------------------------------------------------- many networks in one


def test_behind_the_mask_a_softmax_makes_the_geometric_mean_exact(claim):
    """With one softmax layer behind the dropout, inference is exactly the geometric mean of all {networks} thinned networks,
    weighted and normalised, at 0.5 and at 0.2; it is not their ordinary mean."""
    x = np.random.default_rng(0).normal(size=(50, 8)).astype("float32")
    behind = layers.Dense(5)
    inference = numpy(keras.ops.softmax(behind(x)))
    for rate in (0.5, 0.2):
        every = all_masks(behind, x, rate)
        claim.close(f"geometric_{rate * 10:.0f}", np.abs(geometric(*every) - inference).max(), 0, 1e-5)
        away = np.abs(arithmetic(*every) - inference).max()
        claim.exact(f"arithmetic_is_another_{rate * 10:.0f}", bool(away > 0.01), True)
    claim.exact("networks", len(every[0]), 256)


def test_of_a_linear_output_inference_is_the_mean(claim):
    """With one linear layer behind it, as for a regression, inference is exactly the ordinary mean of all thinned
    networks."""
    x = np.random.default_rng(0).normal(size=(50, 8)).astype("float32")
    behind = layers.Dense(1)
    masks = np.array(list(itertools.product((0, 1), repeat=8)))
    every = [numpy(behind((x * mask * 2).astype("float32"))) for mask in masks]
    claim.close("largest_difference", np.abs(np.mean(every, axis=0) - numpy(behind(x))).max(), 0, 1e-5)


@pytest.fixture(scope="module")
def thinned():
    """Trained networks of 10 units with 0.5 behind them: what all 1024 thinned ones say, and what inference says."""
    x, y, x_test, y_test = digits(500, REPLICAS)
    found = {}
    for name, more in {"last": [], "deep": [32]}.items():
        keras.utils.set_random_seed(0)
        keras.random.uniform(())  # fixes the seed of the weights before a Dropout takes one
        first = dense(REPLICAS, 10, "relu")
        behind = [*(dense(REPLICAS, units, "relu") for units in more), dense(REPLICAS, 10)]
        model = keras.Sequential([keras.Input(x.shape[1:]), first, layers.Dropout(0.5), *behind])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("adam", loss, loss_weights=float(REPLICAS), steps_per_execution=at_once(16))
        model.fit(batches(x, y, 16, 0), steps_per_epoch=16, epochs=40, verbose=0)
        logs, weights = all_masks(keras.Sequential(behind), numpy(first(x_test[:150])))
        found[name] = {
            "inference": numpy(keras.ops.softmax(model(x_test[:150]))),
            "geometric": geometric(logs, weights),
            "arithmetic": arithmetic(logs, weights),
            "single": 100 * (logs.argmax(-1) == y_test[:150]).mean((0, 1)),
            "labels": y_test[:150],
        }
    return found


def apart(run, mean):
    """How far a mean of all networks is from inference: of the probabilities, and in 100 answers."""
    distance = np.abs(run[mean] - run["inference"]).max(-1).mean(0)
    return distance, 100 * (run[mean].argmax(-1) != run["inference"].argmax(-1)).mean(0)


def accuracy(run, of):
    return 100 * (run[of].argmax(-1) == run["labels"]).mean(0)


def test_of_trained_networks_it_is_exact_in_front_of_the_last_layer(claim, thinned):
    """Of trained networks with 10 dropped units in front of the last layer, inference and the geometric mean of all 1024
    thinned networks agree; the ordinary mean gives probabilities {away.interval:.2f} away, and in
    {other_answers.interval:.1f} of 100 digits another answer."""
    claim.close("geometric_last", np.abs(thinned["last"]["geometric"] - thinned["last"]["inference"]).max(), 0, 1e-4)
    distance, answers = apart(thinned["last"], "arithmetic")
    claim.trained("away", distance, above=0.01)
    claim.trained("other_answers", answers, above=0)


def test_of_trained_networks_it_is_approximate_in_front_of_a_hidden_layer(claim, thinned):
    """With a hidden layer of 32 between them, inference is {geometric_away.interval:.3f} from the geometric mean, with
    another answer in {geometric_answers.interval:.1f} of 100 digits, and {arithmetic_away.interval:.2f} from the ordinary
    one."""
    distance, answers = apart(thinned["deep"], "geometric")
    arithmetic_distance = apart(thinned["deep"], "arithmetic")[0]
    claim.trained("geometric_away", distance, above=0.005)
    claim.trained("geometric_answers", answers, below=10)
    claim.trained("arithmetic_away", arithmetic_distance, above=0.01)
    claim.trained("further", arithmetic_distance - distance, above=0.02)


def test_one_thinned_network_is_worth_little(claim, thinned):
    """One thinned network of these is right about {single.interval:.0f} of 100 digits, and inference about
    {whole.interval:.0f}; the ordinary mean of all, in place of inference, changes that by
    {by_the_mean.interval:+.1f}."""
    run = thinned["deep"]
    claim.trained("single", run["single"], above=0)
    claim.trained("whole", accuracy(run, "inference"), above=0)
    claim.trained("better", accuracy(run, "inference") - run["single"], above=10)
    claim.trained("by_the_mean", accuracy(run, "arithmetic") - accuracy(run, "inference"), above=-8, below=8)


def test_hardly_any_of_them_is_ever_trained(claim):
    """Of the networks that share the weights hardly any is ever trained: 10,000 masks of 128 units are {masks:,} different
    ones, of two to the power of 128."""
    masks = numpy(layers.Dropout(0.5)(np.ones((10_000, 128)), training=True)) == 0
    claim.exact("masks", len(np.unique(masks, axis=0)), 10_000)


# ------------------------------------------------------------------------------------------- why it converges


def test_the_gradients_average_to_that_of_the_mean_loss(claim):
    """Over all {masks} masks of 8 units, the gradients average to the gradient of the mean loss: a step with one mask is a
    step of stochastic gradient descent on it."""
    x, y, first, second = case()
    masks = 2.0 * np.array(list(itertools.product((0, 1), repeat=8)))
    mean = np.mean([gradients(x, y, first, second, mask)[0] for mask in masks], axis=0)
    true = measured(lambda w: np.mean([forward(x, y, w, second, mask)[2] for mask in masks]), first)
    claim.exact("masks", len(masks), 256)
    claim.close("largest_difference", np.abs(mean - true).max(), 0, 1e-6)


def test_it_converges_to_the_least_mean_loss(claim):
    """For least squares the minimum of the mean loss is known, and training with `Dropout(0.5)` on the inputs ends there: it
    is {to_it:.3f} from it and {to_the_other:.2f} from the minimum without dropout."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4)) + rng.normal(size=(300, 1))
    y = x @ np.array([2.0, -1.0, 1.0, 0.5]) + rng.normal(size=300)
    gram = x.T @ x
    least = np.linalg.solve(gram + np.diag(np.diag(gram)), x.T @ y)  # rate / (1 - rate) is 1
    without = np.linalg.solve(gram, x.T @ y)
    model = keras.Sequential([keras.Input((4,)), layers.Dropout(0.5), layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.05), "mse")
    many = [np.tile(part, (30, 1)).astype("float32") for part in (x, y[:, None])]  # 30 masks in each step
    model.fit(*many, batch_size=9000, epochs=60, verbose=0)
    found = numpy(model.layers[1].kernel)[:, 0]
    claim.close("to_it", np.abs(found - least).max(), 0, 0.1)
    claim.close("to_the_other", np.abs(found - without).max(), np.abs(least - without).max(), 0.1)
    claim.exact("they_differ", bool(np.abs(least - without).max() > 0.5), True)


class EachEpoch(keras.callbacks.Callback):
    """After each epoch, for each replica: the loss of one batch under one mask, the mean over masks, and without dropout."""

    def __init__(self, x, y):
        super().__init__()
        self.x, self.y, self.one, self.mean, self.off = x, y, [], [], []

    def on_epoch_end(self, epoch, logs=None):
        self.one.append(losses(self.y[:32], self.model(self.x[:32], training=True)).mean(0))
        calls = [losses(self.y, self.model(self.x, training=True)).mean(0) for _ in range(20)]
        self.mean.append(np.mean(calls, axis=0))
        self.off.append(losses(self.y, self.model(self.x, training=False)).mean(0))


@pytest.fixture(scope="module")
def curves():
    """Losses of the network of 128 and 64 units over 25 epochs on 500 digits, without dropout and with 0.5 behind both."""
    x, y = digits(500, REPLICAS)[:2]
    found = {}
    for rate in (0, 0.5):
        keras.utils.set_random_seed(0)
        keras.random.uniform(())
        hidden = [dense(REPLICAS, 128, "relu"), dense(REPLICAS, 64, "relu")]
        drop = [layers.Dropout(rate), layers.Dropout(rate)]
        body = [hidden[0], drop[0], hidden[1], drop[1], dense(REPLICAS, 10)]
        model = keras.Sequential([keras.Input(x.shape[1:]), *body])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("adam", loss, loss_weights=float(REPLICAS), steps_per_execution=at_once(16))
        each = EachEpoch(x, y)
        model.fit(batches(x, y, 16, 0), steps_per_epoch=16, epochs=25, callbacks=[each], verbose=0)
        found[rate] = {name: np.array(getattr(each, name)) for name in ("one", "mean", "off")}
    return found


def test_the_mean_loss_falls_where_a_single_one_jumps(claim, curves):
    """On 500 digits with 0.5 the loss of one batch of 32 under one mask rises from one epoch to the next in
    {one_rises.interval:.0f} of 100 cases, and the mean over masks of all examples in {mean_rises:.0f}."""
    rises = {name: 100 * (np.diff(curves[0.5][name], axis=0) > 0).mean(0) for name in ("one", "mean")}
    claim.trained("one_rises", rises["one"], above=10)
    claim.trained("mean_rises", rises["mean"], above=-5, below=10)


def test_it_takes_more_epochs(claim, curves):
    """To a loss of 0.3 on the training data, without dropout in the measurement, it takes {slower.interval:.1f} times the
    epochs with 0.5 behind both layers that it takes without."""
    epochs = {rate: 1 + (run["off"] < 0.3).argmax(axis=0) for rate, run in curves.items()}
    reached = all((run["off"] < 0.3).any(axis=0).all() for run in curves.values())
    claim.exact("all_reach_it", bool(reached), True)
    claim.trained("slower", epochs[0.5] / epochs[0], above=1.3)
