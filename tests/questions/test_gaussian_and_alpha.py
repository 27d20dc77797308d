"""What do GaussianDropout, GaussianNoise and AlphaDropout do, and when is one of them the right choice?"""

import math

import keras
import numpy as np
import pytest
from fair_comparison import digits, evaluate
from gaussian_and_alpha import deep
from keras import layers

numpy = keras.ops.convert_to_numpy
ones = np.ones((1000, 1000), "float32")
KINDS = {
    "Dropout": layers.Dropout,
    "GaussianDropout": layers.GaussianDropout,
    "GaussianNoise": layers.GaussianNoise,
    "AlphaDropout": layers.AlphaDropout,
}
EACH = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


def normal(mean=0.0, deviation=1.0, shape=(1000, 1000)):
    return np.random.default_rng(0).normal(mean, deviation, shape).astype("float32")


def measure(claim, prefix, out, mean, variance):
    """Mean and variance of what a layer puts out, against what they should be."""
    n, off = out.size, (out - mean).astype("float64")
    claim.sampled(f"{prefix}mean", out.mean(dtype="float64"), mean, math.sqrt(variance / n), n)
    error = math.sqrt(max(np.mean(off**4) - np.mean(off**2) ** 2, 1e-6) / n)
    claim.sampled(f"{prefix}variance", np.mean(off**2), variance, error, n)


def below(mean, deviation):
    """The share of a normal distribution that lies below zero."""
    return 0.5 * math.erfc(mean / deviation / math.sqrt(2))


def test_gaussian_dropout_zeroes_nothing(claim):
    """`GaussianDropout(0.3)` multiplies each value by a normal number: {zeros} of a million values become zero, the mean
    stays at {gaussian_mean:.2f}, and the variance of the factor is {gaussian_variance:.2f}, `r / (1 - r)`."""
    out = numpy(layers.GaussianDropout(0.3)(ones, training=True))
    claim.exact("zeros", int((out == 0).sum()), 0)
    measure(claim, "gaussian_", out, 1, 0.3 / 0.7)


def test_dropout_has_the_same_mean_and_variance(claim):
    """`Dropout(0.3)` has the same mean, {bernoulli_mean:.2f}, and the same variance, {bernoulli_variance:.2f}; what
    differs is the shape of the distribution."""
    out = numpy(layers.Dropout(0.3)(ones, training=True))
    measure(claim, "bernoulli_", out, 1, 0.3 / 0.7)
    claim.exact("values", len(np.unique(out)), 2)


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_gaussian_dropout_turns_signs(claim, rate):
    """GaussianDropout turns the sign of a share of {negative_2:.3f} of the values at rate `0.2`, and of
    {negative_5:.3f} at rate `0.5`. Dropout turns none."""
    out = numpy(layers.GaussianDropout(rate)(ones, training=True))
    claim.share(f"negative_{rate * 10:.0f}", out < 0, below(1, math.sqrt(rate / (1 - rate))))
    claim.exact(f"dropout_{rate * 10:.0f}", int((numpy(layers.Dropout(rate)(ones, training=True)) < 0).sum()), 0)


def test_gaussian_noise_adds(claim):
    """`GaussianNoise(0.5)` adds a number with a deviation of {noise_of_large:.2f}, whatever the value is: zeros become
    noise, too. GaussianDropout leaves a zero a zero."""
    for name, value in (("zero", 0.0), ("large", 100.0)):
        out = numpy(layers.GaussianNoise(0.5)(value * ones, training=True)) - value
        claim.sampled(f"noise_of_{name}", out.std(), 0.5, 0.5 / math.sqrt(2 * out.size), out.size)
    claim.exact("zeros_kept", bool((numpy(layers.GaussianDropout(0.5)(0 * ones, training=True)) == 0).all()), True)


@EACH
def test_all_are_off_at_inference(claim, kind):
    """All four pass their input through unless the call is a training call."""
    x = normal(shape=(20, 50))
    claim.exact(f"same_{kind}", bool((numpy(KINDS[kind](0.5)(x)) == x).all()), True)
    claim.exact(f"differs_{kind}", bool((numpy(KINDS[kind](0.5)(x, training=True)) == x).all()), False)


def test_alpha_dropout_keeps_a_mean_of_zero_and_a_variance_of_one(claim):
    """On inputs with mean zero and variance one `AlphaDropout(0.5)` keeps both: {alpha_mean:.2f} and
    {alpha_variance:.2f}. It sets dropped values to one number that is not zero."""
    x = normal()
    out = numpy(layers.AlphaDropout(0.5)(x, training=True))
    measure(claim, "alpha_", out, 0, 1)
    values, counts = np.unique(out, return_counts=True)
    dropped = out == values[counts.argmax()]
    claim.share("dropped", dropped, 0.5)
    claim.exact("zeros", int((out == 0).sum()), 0)


def test_it_keeps_no_other_mean_and_variance(claim):
    """On inputs with mean `1` and variance `4` it keeps neither: they become {other_mean:.2f} and
    {other_variance:.2f}."""
    rate, mean, variance, dropped = 0.5, 1.0, 4.0, -1.6732632423543772 * 1.0507009873554805
    a = ((1 - rate) * (1 + rate * dropped**2)) ** -0.5
    b = -a * dropped * rate
    out = numpy(layers.AlphaDropout(rate)(normal(mean, 2.0), training=True))
    expected = a * ((1 - rate) * mean + rate * dropped) + b
    spread = a**2 * (1 - rate) * (variance + rate * (dropped - mean) ** 2)
    measure(claim, "other_", out, expected, spread)


def test_through_eight_selu_layers_only_alpha_dropout_keeps_them(claim):
    """Through eight SELU layers with AlphaDropout(0.5) the variance stays {alpha:.2f}; with Dropout(0.5) it grows to
    {plain:.0f}, and at rate `0.1` to {plain_1:.1f}."""
    x, variances = normal(shape=(4000, 256)), {}
    for name, drop in (
        ("alpha", lambda: layers.AlphaDropout(0.5)),
        ("plain", lambda: layers.Dropout(0.5)),
        ("plain_1", lambda: layers.Dropout(0.1)),
    ):
        variances[name] = float(numpy(deep(drop)(x, training=True)).var())
    claim.close("alpha", variances["alpha"], 1, 0.1)
    claim.close("plain", variances["plain"], 20, 6)
    claim.close("plain_1", variances["plain_1"], 1.5, 0.3)


@pytest.mark.parametrize(("kernel", "kept"), [("lecun_normal", True), ("glorot_uniform", True), ("he_normal", False)])
def test_the_initial_weights_decide(claim, kernel, kept):
    """The units keep a variance of one from the start with `lecun_normal` weights: through eight SELU layers of equal
    width it stays {lecun_normal:.1f}. So it does with Keras' default, `glorot_uniform`, which has the same variance between
    layers of equal width: {glorot_uniform:.1f}. With `he_normal` it grows to {he_normal:.1f}."""
    x = normal(shape=(4000, 256))
    for _ in range(8):
        x = layers.Dense(256, activation="selu", kernel_initializer=kernel)(x)
        x = layers.AlphaDropout(0.1)(x, training=True)
    claim.close(kernel, numpy(x).var(), *((1, 0.25) if kept else (5, 2)))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@EACH
def test_all_run_in_mixed_precision(claim, kind, policy):
    """In every version that we support, all four run under `mixed_bfloat16` and `mixed_float16`, and put out the compute type."""
    out = KINDS[kind](0.3, dtype=keras.DTypePolicy(policy))(ones[:10], training=True)
    claim.exact(f"{kind}_{policy}", keras.backend.standardize_dtype(out.dtype), policy.removeprefix("mixed_"))


@pytest.mark.only("tensorflow", why="the other backends draw the mask in float32")
def test_tensorflow_rounds_small_rates_up(claim):
    """On TensorFlow the mask is drawn in the compute type, so a small rate is rounded up to what its few digits can
    say: in `bfloat16` `Dropout(0.01)` drops a share of {realised:.4f}, 2/128, and `Dropout(0.001)` {realised_small:.4f},
    1/128."""
    for name, rate, drawn in (("realised", 0.01, 2 / 128), ("realised_small", 0.001, 1 / 128)):
        claim.share(
            name,
            numpy(keras.ops.cast(layers.Dropout(rate, dtype="bfloat16")(ones, training=True), "float32")) == 0,
            drawn,
        )


@pytest.mark.parametrize("kind", ["GaussianDropout", "AlphaDropout"])
def test_a_rate_of_one_fails_only_in_training(claim, kind):
    """`GaussianDropout(1.0)` and `AlphaDropout(1.0)` can be made, and fail in the first training call; at inference they
    pass their input through."""
    layer = KINDS[kind](1.0)
    with pytest.raises(ZeroDivisionError):
        layer(ones[:2], training=True)
    claim.exact(f"failed_{kind}", True, True)
    claim.exact(f"inference_{kind}", bool(np.array_equal(numpy(layer(ones[:2])), numpy(ones[:2]))), True)


def test_the_deviation_of_noise_may_not_exceed_one(claim):
    """`GaussianNoise(1.5)` is refused: Keras wants a deviation between zero and one."""
    with pytest.raises(ValueError, match=r"`stddev`. Expected a float value between 0 and 1"):
        layers.GaussianNoise(1.5)
    claim.exact("refused", True, True)


def test_behind_relu_alpha_dropout_changes_mean_and_variance(claim, program):
    """The wrong twin: behind ReLU, AlphaDropout(0.5) takes the mean from {relu_before:.2f} to {relu_after:.2f}, the
    variance from {variance_before:.1f} to {variance_after:.1f}, and puts negative values where ReLU has none."""
    twin = program("gaussian_and_alpha_wrong")  # its last round is ReLU's
    claim.close("relu_before", twin["off"].mean(), 0.56, 0.05)
    claim.close("relu_after", twin["on"].mean(), 0.25, 0.1)
    claim.close("variance_before", twin["off"].var(), 0.68, 0.1)
    claim.close("variance_after", twin["on"].var(), 1.33, 0.25)
    claim.exact("negative_before", bool((twin["off"] < 0).any()), False)
    claim.exact("negative_after", bool((twin["on"] < 0).any()), True)


# ---------------------------------------------------------- does SELU with AlphaDropout beat ReLU with Dropout?


def initial(gain):
    """Weights with a variance of `gain` through the number of inputs: LeCun's with one, He's with two."""
    return lambda shape, dtype=None: keras.random.normal(shape, stddev=(gain / shape[-2]) ** 0.5, dtype=dtype)


def network(replicas, depth, activation, drop, gain):
    def dense(units, activation=None):
        shape = {"output_shape": (replicas, units), "bias_axes": "ro", "kernel_initializer": initial(gain)}
        return layers.EinsumDense("bri,rio->bro", activation=activation, **shape)

    hidden = [layer for _ in range(depth) for layer in (dense(64, activation), drop())]
    return [*hidden, dense(10)]


@pytest.fixture(scope="module")
def ahead(study):
    """(depth, rate) → how many points SELU with AlphaDropout(0.1) is ahead of ReLU with Dropout, replica by replica."""
    replicas = 3 if study.short else 12
    x_train, y_train, x_test, y_test = digits(300, replicas, noise=0.3)
    mean, deviation = x_train.mean(0, keepdims=True), np.maximum(x_train.std(0, keepdims=True), 0.1)
    data = ((x_train - mean) / deviation, y_train, (x_test - mean) / deviation, y_test)
    found = {}
    for depth in (2, 8):
        selu = evaluate(lambda d=depth: network(replicas, d, "selu", lambda: layers.AlphaDropout(0.1), 1), data, 40)
        for rate in (0.2,) if study.short else (0.1, 0.2):
            relu = evaluate(
                lambda d=depth, r=rate: network(replicas, d, "relu", lambda: layers.Dropout(r), 2), data, 40
            )
            found[depth, rate] = selu[0] - relu[0]
    return found


@pytest.mark.study
def test_in_a_shallow_network_neither_is_far_ahead(claim, ahead):
    """With two hidden layers, SELU with AlphaDropout(0.1) and ReLU with Dropout(0.2) are less than five points apart:
    {shallow.interval:+.1f} points, over {shallow.n} replicas, on 300 digits with random labels for three in ten. With
    Dropout(0.1) it is {shallow_same_rate.interval:+.1f}."""
    claim.trained("shallow", ahead[2, 0.2], above=-5, below=5)
    if (2, 0.1) in ahead:
        claim.trained("shallow_same_rate", ahead[2, 0.1], above=-5, below=5)


@pytest.mark.study
def test_in_a_deep_plain_network_selu_is_ahead(claim, ahead):
    """With eight hidden layers and no normalisation, SELU with AlphaDropout(0.1) is ahead of ReLU with
    Dropout(0.2) by {deep.interval:+.1f} points after 40 epochs, and of ReLU with Dropout(0.1) by
    {deep_same_rate.interval:+.1f}: {rate_alone.interval:.1f} of them are a matter of the rate."""
    claim.trained("deep", ahead[8, 0.2], above=5)
    if (8, 0.1) in ahead:
        claim.trained("deep_same_rate", ahead[8, 0.1], above=0)
        claim.trained("rate_alone", ahead[8, 0.2] - ahead[8, 0.1], above=0)
