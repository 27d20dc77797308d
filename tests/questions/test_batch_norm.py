"""How do Dropout and BatchNormalization get along, and in which order?"""

import functools
import itertools

import fair_comparison
import keras
import numpy as np
import pytest
from batch_norm import block, shifts
from batch_norm_reestimate import reestimate
from batch_norm_uout import Uout
from fair_comparison import dense, digits, evaluate

numpy = keras.ops.convert_to_numpy
layers = keras.layers
N, WIDTH = 1_000_000, 64
LONG, SHORT = 16, 8  # replicas of a study; the short form trains the first of the same splits, as long


def hidden(replicas, order, rate, number):
    """One of three hidden layers, for all replicas, with Dropout where `order` says."""
    drop, relu = layers.Dropout(rate), layers.ReLU()
    # each unit of each replica has statistics of its own
    norm = [layers.Reshape((replicas * WIDTH,)), layers.BatchNormalization(), layers.Reshape((replicas, WIDTH))]
    rest = {
        "none": [*norm, relu],
        "behind": [*norm, relu, drop],
        "front": [drop, *norm, relu],
        "norm last": [relu, drop, *norm],
        "last": [*norm, relu, drop] if number == 2 else [*norm, relu],
        "uout": [*norm, relu, Uout(0.1)],
    }
    return [dense(replicas, WIDTH), *rest[order]]


def train(order, rate, data, epochs, seed=0):
    """Accuracy and loss of each replica, as trained and re-estimated, and each norm's learnt by met variance."""
    x, replicas, parts = data[0], data[0].shape[1], []

    def build():
        for number in range(3):
            parts.extend(hidden(replicas, order, rate, number))
        parts.append(dense(replicas, 10))
        return parts

    accuracy, loss = evaluate(build, data, epochs, seed)
    shift, value = [], x
    for layer in parts:
        if isinstance(layer, layers.BatchNormalization):
            ratio = numpy(layer.moving_variance) / (numpy(value).var(axis=0) + layer.epsilon)
            shift.append(np.median(ratio.reshape(replicas, WIDTH), axis=1))
        value = layer(value)
    reestimate(parts, x)
    accuracy_, loss_ = evaluate(lambda: parts, data, epochs=0)  # the same layers, and no training
    return {"accuracy": accuracy, "loss": loss, "accuracy again": accuracy_, "loss again": loss_, "shift": shift}


@pytest.fixture(scope="module")
def noisy():
    """Four orders at rate 0.5 on 500 digits, 30 % of whose labels are random."""
    data = digits(500, 24, noise=0.3)
    return {order: train(order, 0.5, data, epochs=40) for order in ("none", "behind", "front", "last")}


@functools.cache
def clean(order, rate, replicas):
    """The same on 500 clean digits."""
    return train(order, rate, digits(500, replicas), epochs=60)


@pytest.fixture(scope="module")
def inputs():
    """A million inputs around zero, and what a ReLU makes of them."""
    x = np.random.default_rng(0).normal(size=(N, 1)).astype("float32")
    return {"centred": x, "relu": np.maximum(x, 0)}


def ratio_and_error(x, rate):
    """What Dropout multiplies the variance of `x` by: the formula, and the standard error over its masks."""
    x = x.astype("float64")
    expected = (1 + rate * x.mean() ** 2 / x.var()) / (1 - rate)
    y = np.where(np.random.default_rng(1).random(x.shape) < rate, 0, x / (1 - rate))
    return expected, ((y - y.mean()) ** 2).std() / x.var() / N**0.5


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.5])
@pytest.mark.parametrize("kind", ["centred", "relu"])
def test_dropout_raises_the_variance_in_training_only(claim, inputs, kind, rate):
    """In training Dropout multiplies the variance by (1 + r·μ²/σ²)/(1 − r), at inference by one: at rate 0.5 by
    {centred_5:.2f} around a mean of zero and by {relu_5:.2f} behind a ReLU, at rate 0.1 by {centred_1:.2f} and
    {relu_1:.2f}."""
    x = inputs[kind]
    keras.utils.set_random_seed(1)
    drop = layers.Dropout(rate)
    expected, error = ratio_and_error(x, rate)
    claim.sampled(
        f"{kind}_{rate * 10:.0f}", numpy(drop(x, training=True)).var(dtype="float64") / x.var(), expected, error, N
    )
    claim.exact(f"{kind}_{rate * 10:.0f}_inference", np.array_equal(numpy(drop(x)), x), True)


@pytest.mark.parametrize("rate", [0.2, 0.5])
@pytest.mark.parametrize("kind", ["centred", "relu"])
def test_what_a_norm_behind_dropout_puts_out(claim, inputs, kind, rate):
    """A BatchNormalization behind `Dropout(0.5)` puts out a variance of {centred_5_on:.2f} in training and of
    {centred_5_out:.2f} at inference, which is 1 − r; behind a ReLU and `Dropout(0.5)` it is {relu_5_out:.2f}."""
    x, name = inputs[kind], f"{kind}_{rate * 10:.0f}"
    keras.utils.set_random_seed(1)
    norm = layers.BatchNormalization(momentum=0, epsilon=1e-6)  # the statistics of the last batch
    on = numpy(norm(layers.Dropout(rate)(x, training=True), training=True)).var(dtype="float64")
    claim.close(f"{name}_on", on, 1, 1e-3)
    ratio, error = ratio_and_error(x, rate)
    claim.sampled(f"{name}_out", numpy(norm(x)).var(dtype="float64"), 1 / ratio, error / ratio**2, N)


@pytest.fixture(scope="module")
def stacks():
    """Variance behind each of eight norms at inference, for ten random networks with Dropout in front of each."""
    x, result = np.random.default_rng(0).normal(size=(2000, 256)).astype("float32"), []
    for seed in range(10):
        keras.utils.set_random_seed(seed)
        net = []
        for _ in range(8):
            net += [layers.Dense(256), layers.Dropout(0.5), layers.BatchNormalization(momentum=0)]
        keras.Sequential([keras.Input((256,)), *net])(x, training=True)
        value, variances = x, []
        for layer in net:
            value = layer(value)
            if isinstance(layer, layers.BatchNormalization):
                variances.append(numpy(value).var(axis=0).mean())
        result.append(variances)
    return np.array(result)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_the_shift_grows_with_depth(claim, stacks, depth):
    """It grows with depth: in a linear network with `Dropout(0.5)` in front of each norm, a share of {left_1:.2f} of
    the variance is left at inference behind the first norm, {left_2:.2f} behind the second, {left_4:.3f} behind the
    fourth and {left_8:.4f} behind the eighth, which is (1 − r) to the power of the depth."""
    left = stacks[:, depth - 1]
    # the widths are finite: a norm's variance differs between networks by its own factor at each depth
    claim.sampled(f"left_{depth}", left.mean(), 0.5**depth, max(left.std(ddof=1) / 10**0.5, 0.005 * left.mean()), 10)


def test_the_next_norm_meets_it_through_a_dense(claim):
    """Behind its own BatchNormalization a Dropout still reaches the next one, through the Dense between them: in a
    random network the first norm learns {first:.2f} times the variance that it meets, the second {second:.2f} times."""
    x = np.random.default_rng(0).normal(size=(5000, 64)).astype("float32")
    keras.utils.set_random_seed(0)
    net = block(256, 0.5, momentum=0) + block(256, 0.5, momentum=0)
    keras.Sequential([keras.Input((64,)), *net])(x, training=True)
    first, second = shifts(net, x)
    # for weights w of the second Dense: 1 + r/(1 − r) · Σ w²E[x²] / Var(w·x)
    hidden = numpy(net[2](net[1](net[0](x))))
    w = numpy(net[4].kernel)
    expected = 1 + (hidden**2).mean(axis=0) @ w**2 / (hidden @ w).var(axis=0)
    claim.close("first", first, 1, 1e-3)
    expected = float(np.median(expected))
    claim.close("second", second, expected, 0.05 * expected)
    claim.exact("grows", second > 2, True)


def test_behind_the_last_norm_nothing_shifts(claim):
    """With Dropout behind the last BatchNormalization only, each norm meets the variance that it learnt:
    {first_of_two:.2f} and {last_of_two:.2f} times it."""
    x = np.random.default_rng(0).normal(size=(5000, 64)).astype("float32")
    keras.utils.set_random_seed(0)
    net = block(256, 0, momentum=0) + block(256, 0.5, momentum=0)
    keras.Sequential([keras.Input((64,)), *net])(x, training=True)
    for name, ratio in zip(("first_of_two", "last_of_two"), shifts(net, x), strict=True):
        claim.close(name, ratio, 1, 1e-3)


def test_layer_normalization_has_nothing_to_shift(claim):
    """LayerNormalization keeps no moving statistics: behind `Dropout(0.5)` each example leaves it with a variance of
    {layer_norm_on:.2f} in training and of {layer_norm_off:.2f} at inference."""
    x = np.random.default_rng(0).normal(size=(1000, 256)).astype("float32")
    keras.utils.set_random_seed(1)
    drop, norm = layers.Dropout(0.5), layers.LayerNormalization()
    claim.close("layer_norm_on", numpy(norm(drop(x, training=True), training=True)).var(axis=1).mean(), 1, 0.005)
    claim.close("layer_norm_off", numpy(norm(drop(x))).var(axis=1).mean(), 1, 0.005)
    claim.exact("moving_statistics", len(norm.non_trainable_variables), 0)


@pytest.mark.parametrize("kind", ["centred", "relu"])
def test_uout_hardly_shifts_the_variance(claim, inputs, kind):
    """Uout multiplies the variance by 1 + β²/3 · (1 + μ²/σ²): at β = 0.1 by {uout_centred:.4f} around a mean of zero
    and by {uout_relu:.4f} behind a ReLU."""
    x = inputs[kind]
    y = numpy(Uout(0.1, seed=1)(x, training=True)).astype("float64")
    x = x.astype("float64")
    # what the noise adds to x: its own variance, and twice a covariance with x of mean zero
    noise, centred = y - x, x - x.mean()
    error = (noise**2 + 2 * noise * centred).std() / x.var() / N**0.5
    claim.sampled(f"uout_{kind}", y.var() / x.var(), 1 + 0.01 / 3 * (x**2).mean() / x.var(), error, N)
    claim.exact(f"uout_{kind}_inference", np.array_equal(numpy(Uout(0.1)(inputs[kind])), inputs[kind]), True)


def test_the_bias_in_front_of_a_norm_does_nothing(claim):
    """A bias in front of a BatchNormalization changes nothing: a bias of 3 moves the output by less than 0.0001, in
    training and, once the moving mean has learnt it, at inference, and its gradient is zero to rounding. Without it,
    `Dense(128)` on 64 inputs has {fewer} parameters fewer."""
    x = np.random.default_rng(0).normal(size=(500, 64)).astype("float32")
    outputs = {}
    for bias in (0.0, 3.0):
        keras.utils.set_random_seed(0)
        norm = layers.BatchNormalization(momentum=0)
        dense_128 = layers.Dense(128, bias_initializer=keras.initializers.Constant(bias))
        model = keras.Sequential([keras.Input((64,)), dense_128, norm, layers.ReLU(), layers.Dense(1)])
        outputs[bias] = numpy(model(x, training=True)), numpy(model(x))
    claim.close("moves_training", np.abs(outputs[3.0][0] - outputs[0.0][0]).max(), 0, 1e-4)
    claim.close("moves_inference", np.abs(outputs[3.0][1] - outputs[0.0][1]).max(), 0, 1e-4)
    model.compile(keras.optimizers.SGD(1.0), "mse")
    before = numpy(dense_128.kernel).copy(), numpy(dense_128.bias).copy()
    model.train_on_batch(x, np.ones((500, 1), "float32"))
    claim.close("bias_step", np.abs(numpy(dense_128.bias) - before[1]).max(), 0, 1e-5)
    claim.exact("kernel_moves", bool(np.abs(numpy(dense_128.kernel) - before[0]).max() > 1e-3), True)
    without = layers.Dense(128, use_bias=False)
    without.build((None, 64))
    claim.exact("fewer", dense_128.count_params() - without.count_params(), 128)


def test_freezing_stops_the_norm_and_not_the_dropout(claim):
    """In Keras 3, `trainable = False` puts BatchNormalization into inference mode and leaves Dropout on: in `fit` its
    moving statistics stay as they are, the Dropout beside it drops a share of {share:.3f}, and the norm passes the
    raised variance on, {variance:.1f} where it would be 1."""
    x = np.random.default_rng(0).normal(size=(2000, 50)).astype("float32")
    keras.utils.set_random_seed(0)
    norm, drop = layers.BatchNormalization(epsilon=1e-6), layers.Dropout(0.5)
    base = keras.Sequential([keras.Input((50,)), drop, norm])
    base.trainable = False
    model = keras.Sequential([keras.Input((50,)), base, layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(x, np.ones((2000, 1)), epochs=2, verbose=0)
    claim.exact("moving_mean", numpy(norm.moving_mean), np.zeros(50))
    claim.exact("moving_variance", numpy(norm.moving_variance), np.ones(50))
    y = numpy(base(x, training=True))
    claim.share("share", y == 0, 0.5)
    error = (y.astype("float64") ** 2).std() / y.size**0.5
    claim.sampled("variance", y.var(), (x.astype("float64") ** 2).mean() * 2, error, y.size)
    base.trainable = True
    model.compile("sgd", "mse")
    model.fit(x, np.ones((2000, 1)), epochs=2, verbose=0)
    claim.exact("unfrozen_it_moves", bool((numpy(norm.moving_variance) != 1).all()), True)


def test_with_wrong_labels_dropout_helps_beside_batch_norm(claim, noisy):
    """On 500 digits with 30 % random labels, Dropout(0.5) behind BatchNormalization and ReLU of all three hidden layers
    raises accuracy by {behind.interval:+.1f} percentage points, and behind the last one only by {last.interval:+.1f},
    over {behind.n} paired replicas."""
    claim.trained("behind", noisy["behind"]["accuracy"] - noisy["none"]["accuracy"], above=0)
    claim.trained("last", noisy["last"]["accuracy"] - noisy["none"]["accuracy"], above=0)


def repeated(x, y, steps, seed):
    """As `fair_comparison.batches`, but every epoch has the batches of the first."""
    parts = np.array_split(np.random.default_rng(seed).permutation(len(x)), steps)
    yield from ((x[i], y[i]) for i in itertools.cycle(parts))


def test_the_same_batches_in_every_epoch_hide_part_of_the_gain(claim, noisy, monkeypatch):
    """Beside BatchNormalization the order of the examples matters. With the same batches in every epoch, which is what
    `fit` does on TensorFlow after `set_random_seed`, the accuracy of the network without Dropout changes by
    {same_none.interval:+.1f} percentage points and of the one with Dropout behind the last norm by
    {same_last.interval:+.1f}, so that all that is left of
    Dropout's gain is {same_gain.interval:+.1f}."""
    monkeypatch.setattr(fair_comparison, "batches", repeated)
    data = digits(500, 24, noise=0.3)
    same = {order: train(order, 0.5, data, 40)["accuracy"] for order in ("none", "last")}
    change = {order: same[order] - noisy[order]["accuracy"] for order in same}
    claim.trained("same_none", change["none"], above=0)
    claim.trained("same_last", change["last"], below=0)
    claim.trained("same_gain", same["last"] - same["none"], above=0)
    claim.trained("hidden", change["last"] - change["none"], below=0)


def test_in_front_of_the_norm_it_costs_accuracy(claim, noisy):
    """There, the same Dropout in front of each BatchNormalization differs by {front.interval:+.1f} percentage points of
    accuracy from behind it and the ReLU."""
    claim.trained("front", noisy["front"]["accuracy"] - noisy["behind"]["accuracy"], below=0)


def test_in_a_trained_network_the_later_norms_learn_too_much(claim, noisy):
    """In the trained networks the median unit of the second norm learns {behind_2.interval:.2f} times the variance that
    it meets at inference with Dropout behind the norms, {front_2.interval:.2f} times with Dropout in front of them, and
    {none_2.interval:.2f} times without."""
    for order, above, below in (("none", 0.9, 1.1), ("last", 0.9, 1.1), ("behind", 1.2, None), ("front", 2, None)):
        name = f"{order}_2"
        claim.trained(name, noisy[order]["shift"][1], above=above, below=below)


def test_re_estimating_repairs_the_loss(claim, noisy):
    """The shift costs likelihood: as trained, Dropout behind the norms changes the test loss by
    {as_trained.interval:+.2f} against none; re-estimating the moving statistics with Dropout off changes it by
    {repaired.interval:+.2f}, and so to {left.interval:+.2f} against none, which the same changes by
    {none_again.interval:+.2f}."""
    none, behind = noisy["none"], noisy["behind"]
    claim.trained("as_trained", behind["loss"] - none["loss"], above=0)
    claim.trained("repaired", behind["loss again"] - behind["loss"], below=0)
    claim.trained("left", behind["loss again"] - none["loss"], below=0)
    claim.trained("none_again", none["loss again"] - none["loss"], above=-0.1, below=0.1)


def test_re_estimating_repairs_part_of_the_accuracy(claim, noisy):
    """In the wrong order re-estimation also brings back accuracy, {repaired_front.interval:+.1f} percentage points, and
    not all of it: {still.interval:+.1f} remain against the right order, re-estimated as well, although the loss is then
    lower than there: {still_loss.interval:+.2f}. Without Dropout it changes accuracy by {repaired_none.interval:+.2f}; against
    that, the change in the wrong order differs by {more.interval:+.1f}."""
    again = {order: noisy[order]["accuracy again"] for order in noisy}
    claim.trained("repaired_front", again["front"] - noisy["front"]["accuracy"], above=0)
    claim.trained("still", again["front"] - again["behind"], below=0)
    claim.trained("still_loss", noisy["front"]["loss again"] - noisy["behind"]["loss again"], below=0)
    none = again["none"] - noisy["none"]["accuracy"]
    claim.trained("repaired_none", none, above=-2, below=2)
    claim.trained("more", again["front"] - noisy["front"]["accuracy"] - none, above=-2)


@pytest.mark.study
def test_on_clean_digits_half_is_too_much_except_behind_the_last(claim, study):
    """On 500 clean digits Dropout(0.5) behind all three norms changes accuracy by {clean_behind.interval:+.2f}
    percentage points, in front of them by {clean_front.interval:+.2f}, between ReLU and norm by
    {clean_norm_last.interval:+.2f}, and behind the last one, where no harm shows, by {clean_last.interval:+.2f}, over
    {clean_behind.n} paired replicas; Uout changes it by {clean_uout.interval:+.2f}."""
    replicas = SHORT if study.short else LONG
    none = clean("none", 0, replicas)["accuracy"]
    claim.trained("clean_behind", clean("behind", 0.5, replicas)["accuracy"] - none, below=0)
    if not study.short:
        claim.trained("clean_last", clean("last", 0.5, replicas)["accuracy"] - none, above=-0.5)
        claim.trained("clean_front", clean("front", 0.5, replicas)["accuracy"] - none, below=0)
        claim.trained("clean_norm_last", clean("norm last", 0.5, replicas)["accuracy"] - none, below=0)
        claim.trained("clean_uout", clean("uout", 0.5, replicas)["accuracy"] - none, above=-0.5, below=0.5)


@pytest.mark.study
def test_on_clean_digits_the_shift_costs_likelihood_and_not_accuracy(claim, study):
    """On clean digits at rate 0.5 behind the norms, Dropout changes the test loss by {clean_cost.interval:+.3f}, and
    re-estimation changes it again, by {clean_loss.interval:+.3f}; accuracy it changes by {clean_accuracy.interval:+.2f}
    percentage points: no difference shown."""
    replicas = SHORT if study.short else LONG
    none, behind = clean("none", 0, replicas), clean("behind", 0.5, replicas)
    claim.trained("clean_cost", behind["loss"] - none["loss"], above=0)
    claim.trained("clean_loss", behind["loss again"] - behind["loss"], below=0)
    claim.trained("clean_accuracy", behind["accuracy again"] - behind["accuracy"], above=-0.5, below=0.5)


@pytest.mark.study
def test_on_clean_digits_a_fifth_changes_little(claim, study):
    """On clean digits at rate 0.2 Dropout behind the norms changes accuracy by {clean_behind_2.interval:+.2f} percentage
    points, and in front of them by {clean_front_2.interval:+.2f}; re-estimation brings {clean_repair_2.interval:+.2f}
    there, and {clean_repair_behind_2.interval:+.2f} behind."""
    replicas = SHORT if study.short else LONG
    none, behind = clean("none", 0, replicas), clean("behind", 0.2, replicas)
    claim.trained("clean_behind_2", behind["accuracy"] - none["accuracy"], above=-0.5, below=1.5)
    claim.trained("clean_repair_behind_2", behind["accuracy again"] - behind["accuracy"], above=-0.5, below=0.5)
    if not study.short:
        front = clean("front", 0.2, replicas)
        claim.trained("clean_front_2", front["accuracy"] - none["accuracy"], above=-1, below=0.5)
        claim.trained("clean_repair_2", front["accuracy again"] - front["accuracy"], above=0)


def test_dropout_in_front_shrinks_what_the_norms_put_out(claim, program):
    """The wrong twin: with `Dropout(0.5)` in front of four norms and a ReLU behind each, they put out a variance of
    {twin_training:.2f} in training; at inference the first puts out {twin_first:.2f} and the fourth
    {twin_fourth:.2f}."""
    twin = program("batch_norm_wrong")
    claim.close("twin_training", np.mean(twin["training"]), 1, 0.02)
    claim.close("twin_first", twin["inference"][0], 0.5, 0.03)
    claim.close("twin_fourth", twin["inference"][3], 0.03, 0.02)
    claim.exact("each_is_smaller", twin["inference"] == sorted(twin["inference"], reverse=True), True)
