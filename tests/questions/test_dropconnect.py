"""What is DropConnect, and is there a layer for it?"""

import keras
import numpy as np
import pytest
from dropconnect import DropConnect
from fair_comparison import dense, digits, evaluate, glorot
from keras import ops

numpy = ops.convert_to_numpy
layers = keras.layers
N, FEATURES = 20_000, 100


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="module")
def row():
    return np.random.default_rng(0).normal(size=(1, FEATURES)).astype("float32")


def training(layer, x):
    return numpy(layer(x, training=True)).astype("float64")


def test_it_masks_weights(claim):
    """`DropConnect(rate=0.5)` zeroes a share of {share:.3f} of the weights and doubles the others; no unit and no input
    is removed as a whole."""
    layer = DropConnect(200, 0.5, shared=True, kernel_initializer="ones", use_bias=False)
    kernel = training(layer, np.eye(200, dtype="float32"))  # each input alone: what comes out is the masked kernel
    claim.share("share", kernel == 0, 0.5)
    claim.close("kept", kernel.max(), 2, 1e-6)
    claim.exact("kinds", len(np.unique(kernel)), 2)
    claim.exact("inputs_gone", int((kernel == 0).all(axis=1).sum()), 0)
    claim.exact("units_gone", int((kernel == 0).all(axis=0).sum()), 0)


def test_the_bias_is_dropped_too(claim):
    """The bias is dropped as the weights are, a share of {bias:.3f}."""
    layer = DropConnect(500, 0.5, bias_initializer="ones")
    claim.share("bias", training(layer, np.zeros((100, 3), "float32")) == 0, 0.5)


def test_dropout_is_the_case_where_rows_or_columns_go(claim):
    """Dropout in front of a Dense equals that Dense with whole rows of its kernel masked, and Dropout behind it, without
    activation, with whole columns masked."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(1, 50)), rng.normal(size=(50, 40))
    front, behind = (numpy(keras.random.dropout(keras.ops.ones((1, n)), 0.5)).astype("float64") for n in w.shape)
    claim.close("rows", np.abs((x * front) @ w - x @ (w * front.T)).max(), 0, 1e-9)
    claim.close("columns", np.abs((x @ w) * behind - x @ (w * behind)).max(), 0, 1e-9)


def test_one_unit_cannot_tell_it_from_dropout(claim, row):
    """For one unit alone there is no difference: with Dropout in front and with DropConnect its sum has the same mean and
    the same variance, rate/(1 − rate) · Σw²x², here {dropout:.0f} and {connect:.0f}."""
    kernel = {"kernel_initializer": "ones", "use_bias": False}
    x, expected = row.repeat(N, axis=0), float((row.astype("float64") ** 2).sum())
    models = {
        "dropout": keras.Sequential([layers.Dropout(0.5), layers.Dense(1, **kernel)]),
        "connect": DropConnect(1, 0.5, **kernel),
    }
    for name, model in models.items():
        y = training(model, x)[:, 0]
        claim.sampled(f"{name}_mean", y.mean(), row.sum(dtype="float64"), (expected / N) ** 0.5, N)
        claim.sampled(name, y.var(), expected, ((y - y.mean()) ** 2).std() / N**0.5, N)


def test_across_units_the_noise_is_independent(claim, row):
    """Two units with the same weights lose the same inputs under Dropout, so their noise has a correlation of
    {dropout_correlation:.2f}; under DropConnect they lose different weights, and it has {correlation:.2f}."""
    x, ones = row.repeat(N, axis=0), {"units": 2, "kernel_initializer": "ones", "use_bias": False}
    y = training(keras.Sequential([layers.Dropout(0.5), layers.Dense(**ones)]), x)
    claim.close("dropout_correlation", np.corrcoef(y.T)[0, 1], 1, 1e-6)
    y = training(DropConnect(**ones), x)
    claim.sampled("correlation", np.corrcoef(y.T)[0, 1], 0, N**-0.5, N)


def test_a_shared_mask_is_other_noise(claim, row):
    """With a mask for each example the variance of a mean over 100 equal examples is {own:.3f} of that of one example;
    with one mask for the batch it is {shared:.2f}: there is nothing to average."""
    batch, repeats = 100, 200
    expected = float((row.astype("float64") ** 2).sum())  # of one example, at rate 0.5
    one = {"units": 1, "kernel_initializer": "ones", "use_bias": False}
    own, shared = DropConnect(**one), DropConnect(**one, shared=True)
    means = training(own, row.repeat(batch * repeats, axis=0)).reshape(repeats, batch).mean(axis=1)
    relative = (2 / repeats) ** 0.5  # the standard error of a variance, over the variance
    claim.sampled("own", means.var() / expected, 1 / batch, relative / batch, repeats)
    means = np.array([training(shared, row.repeat(batch, axis=0)).mean() for _ in range(repeats)])
    claim.sampled("shared", means.var() / expected, 1, relative, repeats)


def test_its_masks_are_large(claim):
    """Between 128 inputs and 64 units, a batch of 32 needs {numbers:,} random numbers for the kernel, a shared mask
    {shared_numbers:,}, and Dropout on the inputs {dropout_numbers:,}."""
    layer = DropConnect(64)
    layer.build((None, 128))
    claim.exact("numbers", int(np.prod(layer.drop(layer.kernel, 32).shape)), 262_144)
    claim.exact("shared_numbers", int(np.prod(layer.drop(layer.kernel, 1).shape)), 8192)
    claim.exact("dropout_numbers", 32 * 128, 4096)


def test_inference_is_that_of_a_dense(claim, row):
    """At inference it is a Dense, and the mean of its sums over the masks is the same: {mean_sum:.2f} and
    {inference_sum:.2f}."""
    layer = DropConnect(1, 0.5)
    y = training(layer, row.repeat(N, axis=0))
    kernel = numpy(layer.kernel).astype("float64")
    claim.close("inference_sum", numpy(layer(row))[0, 0], (row @ kernel)[0, 0], 1e-5)
    claim.sampled("mean_sum", y.mean(), (row @ kernel)[0, 0], y.std() / N**0.5, N)


def test_behind_a_relu_the_paper_takes_a_gaussian(claim):
    """Behind a ReLU the mean over the masks is another number than inference gives. Where the sum cancels, it is
    {mean_relu:.3f} against {inference_relu:.3f}, and a Gaussian with the sum's mean and variance gives {gaussian:.3f}."""
    x = np.ones((1, FEATURES), "float32")
    layer = DropConnect(1, 0.5, activation="relu", use_bias=False)
    layer.build((None, FEATURES))
    weights = np.tile([0.1, -0.1], FEATURES // 2)[:, None]  # they cancel, and the variance of the sum is 1
    layer.set_weights([weights])
    y = training(layer, x.repeat(N, axis=0))
    gaussian = (2 * np.pi) ** -0.5
    claim.close("gaussian", gaussian, 0.399, 1e-3)
    claim.sampled("mean_relu", y.mean(), gaussian, y.std() / N**0.5, N)
    claim.close("inference_relu", numpy(layer(x))[0, 0], 0, 1e-5)


def test_to_undo_the_scaling_multiply_by_what_is_kept(claim):
    """`keras.random.dropout(W, 0.2)` multiplies what it keeps by {kept:.2f}. Times 1 − rate it is W or zero; times the
    rate it is {rated:.2f} of W."""
    w = numpy(keras.random.dropout(keras.ops.ones((100, 100)), 0.2))
    claim.close("kept", w.max(), 1.25, 1e-6)
    claim.close("undone", w.max() * (1 - 0.2), 1, 1e-6)
    claim.close("rated", w.max() * 0.2, 0.25, 1e-6)


def test_keras_has_no_such_layer(claim):
    """Keras has no layer of that name: of its layers, those with “Drop” in their names are {names}."""
    found = sorted(name for name in dir(layers) if "drop" in name.lower())
    spatial = [f"SpatialDropout{n}D" for n in (1, 2, 3)]
    claim.exact("names", found, ["AlphaDropout", "Dropout", "GaussianDropout", *spatial])


def test_efficientnets_drop_connect_is_another_thing(claim):
    """What EfficientNet calls drop_connect is stochastic depth: Keras' EfficientNetB0 has {layers} Dropout layers that
    drop a whole residual branch of an example, at rates that rise from {first:.4f} to {last:.4f}, and none for weights."""
    model = keras.applications.EfficientNetB0(weights=None, include_top=False, input_shape=(32, 32, 3))
    drops = [layer for layer in model.layers if isinstance(layer, layers.Dropout)]
    claim.exact("layers", len(drops), 9)
    claim.exact("noise_shapes", sorted({layer.noise_shape for layer in drops}, key=str), [(None, 1, 1, 1)])
    rates = [layer.rate for layer in drops]
    claim.exact("rising", rates == sorted(rates), True)
    claim.close("first", rates[0], 0.2 * 2 / 16, 1e-9)
    claim.close("last", rates[-1], 0.2 * 14 / 16, 1e-9)


class Connected(layers.Layer):
    """Dense and ReLU for each replica, `(batch, replicas, features)`, with the weights dropped in training."""

    def __init__(self, replicas, units, rate, shared=False):
        super().__init__()
        self.replicas, self.units, self.rate, self.shared = replicas, units, rate, shared
        self.seed_generator = keras.random.SeedGenerator()

    def build(self, shape):
        self.kernel = self.add_weight(shape=(self.replicas, shape[-1], self.units), initializer=glorot)
        self.bias = self.add_weight(shape=(self.replicas, self.units), initializer="zeros")

    def call(self, x, training=None):
        kernel = self.kernel
        if training:
            copies = 1 if self.shared else ops.shape(x)[0]
            kernel = ops.broadcast_to(kernel, (copies, *kernel.shape))
            kernel = keras.random.dropout(kernel, self.rate, seed=self.seed_generator)
        return ops.relu(ops.matmul(x[..., None, :], kernel)[..., 0, :] + self.bias)


@pytest.mark.study
def test_against_wrong_labels_it_helps_and_dropout_no_less(claim, study):
    """On 500 digits, 30 % of their labels random, DropConnect at rate 0.5 on the second hidden layer raises accuracy by
    {connect_gain.interval:+.1f} percentage points over {connect_gain.n} paired replicas; Dropout in front of it by
    {dropout_gain.interval:+.1f}. Against that Dropout, DropConnect changes it by {difference.interval:+.1f}, and a mask shared by
    the batch, against DropConnect, by {sharing.interval:+.1f}."""
    replicas = 6 if study.short else 24
    data = digits(500, replicas, noise=0.3)
    middle = {
        "none": lambda: [dense(replicas, 32, "relu")],
        "dropout": lambda: [layers.Dropout(0.5), dense(replicas, 32, "relu")],
        "connect": lambda: [Connected(replicas, 32, 0.5)],
        "shared": lambda: [Connected(replicas, 32, 0.5, shared=True)],
    }

    def train(name):
        ends = dense(replicas, 64, "relu"), dense(replicas, 10)
        return evaluate(lambda: [ends[0], *middle[name](), ends[1]], data, epochs=60)[0]

    result = {name: train(name) for name in middle}
    claim.trained("connect_gain", result["connect"] - result["none"], above=0)
    claim.trained("dropout_gain", result["dropout"] - result["none"], above=0)
    claim.trained("difference", result["connect"] - result["dropout"], below=0)
    claim.trained("sharing", result["shared"] - result["connect"], above=-1, below=1)


def test_dropout_times_the_rate_is_not_dropconnect(claim, program):
    """The wrong twin: dropout of the activations times the rate drops units, a share of {units:.2f} at rate 0.2, has no
    weights to drop, and feeds training a fifth of what inference gets: {twin_mean:.2f} against {twin_inference:.2f}."""
    twin = program("dropconnect_wrong")
    claim.share("units", twin["training"] == 0, 0.2)
    claim.exact("weights", len(twin["layer"].weights), 0)
    n = twin["training"].size
    claim.sampled("twin_mean", twin["training"].mean(), 0.2, 0.25 * (0.2 * 0.8 / n) ** 0.5, n)
    claim.close("twin_inference", twin["inference"].mean(), 1, 1e-6)
