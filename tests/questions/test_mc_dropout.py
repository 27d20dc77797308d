"""How do I use dropout in prediction, for uncertainty?"""

import keras
import numpy as np
import pytest
from does_it_help import calibration_error, network
from fair_comparison import digits, evaluate
from mc_dropout import MCDropout, always_on, entropy, sample
from mc_dropout_concrete import ConcreteDense, learned_rate
from mc_dropout_one_mask import OneMask
from sklearn.metrics import roc_auc_score

numpy = keras.ops.convert_to_numpy
SPLITS, MEMBERS, PASSES, ROWS = 8, 5, 30, 600


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


def dropping(*layers):
    """A model that puts its input through a Dropout(0.5) and then through `layers`."""
    return keras.Sequential([keras.Input((100,)), keras.layers.Dropout(0.5), *layers])


@pytest.fixture(scope="module")
def ones():
    return np.ones((1000, 100), "float32")


@pytest.fixture(scope="module")
def judged():
    """Accuracy, loss, calibration error and score for unknown inputs of four ways to predict, one value per split.

    Five networks of each kind are trained on each of eight splits of the digits; the values of the five are averaged.
    """
    x_train, y_train, x, y = (np.repeat(part, MEMBERS, axis=1) for part in digits(200, SPLITS))
    x, y = x[:ROWS], y[:ROWS]
    unknown = np.random.default_rng(0).permuted(x, axis=-1)  # the same pixels in another order, for each image

    def train(rate):
        layers = []
        evaluate(lambda: layers.extend(network(SPLITS * MEMBERS, rate)) or layers, (x_train, y_train, x, y), epochs=100)
        return keras.Sequential(layers)

    def probabilities(model, inputs, training=False):
        return numpy(keras.ops.softmax(model(inputs, training=training)))

    def passes(inputs):
        return np.mean([probabilities(dropped, inputs, training=True) for _ in range(PASSES)], axis=0)

    def together(p):
        return np.repeat(p.reshape(len(p), SPLITS, MEMBERS, 10).mean(axis=2), MEMBERS, axis=1)

    def judge(known, unknown):
        loss = -np.log(np.take_along_axis(known, y[..., None], -1)[..., 0] + 1e-9).mean(axis=0)
        is_unknown = np.repeat([0, 1], ROWS)
        doubt = np.concatenate([entropy(known), entropy(unknown)])
        values = {
            "accuracy": 100 * (known.argmax(-1) == y).mean(axis=0),
            "loss": loss,
            "error": calibration_error(known, y),
            "unknown": np.array([100 * roc_auc_score(is_unknown, d) for d in doubt.T]),
        }
        return {name: value.reshape(SPLITS, MEMBERS).mean(axis=1) for name, value in values.items()}

    plain, dropped = train(0), train(0.5)
    single = [probabilities(plain, inputs) for inputs in (x, unknown)]
    return {
        "off": judge(*(probabilities(dropped, inputs) for inputs in (x, unknown))),
        "passes": judge(*(passes(inputs) for inputs in (x, unknown))),
        "plain": judge(*single),
        "ensemble": judge(*(together(p) for p in single)),
    }


def test_the_copy_drops_in_predict(claim, ones):
    """`always_on` makes a copy with the same weights that drops in `predict`, a share of {copy:.2f}; the model that it
    was made from drops nothing there."""
    model = dropping(keras.layers.Dense(100, kernel_initializer="identity"))
    claim.share("copy", always_on(model).predict(ones, verbose=0) == 0, 0.5)
    claim.exact("original", int(np.sum(model.predict(ones, verbose=0) == 0)), 0)
    same = zip(model.get_weights(), always_on(model).get_weights(), strict=True)
    claim.exact("same_weights", all(np.array_equal(a, b) for a, b in same), True)


def test_a_nested_model_is_copied_too(claim, ones):
    """`always_on` reaches the Dropout layers of a nested model: {nested:.2f} of the outputs are zero in `predict`."""
    inputs = keras.Input((100,))
    model = keras.Model(inputs, dropping()(inputs))
    claim.share("nested", always_on(model).predict(ones, verbose=0) == 0, 0.5)


def test_a_saved_copy_needs_the_class(claim, ones, tmp_path):
    """Saved and loaded, the copy drops in `predict` as before, a share of {loaded:.2f}, if `load_model` is given the
    class; if not, loading fails and names it."""
    copy = always_on(dropping(keras.layers.Dense(100, kernel_initializer="identity")))
    path = tmp_path / "copy.keras"
    copy.save(path)
    loaded = keras.models.load_model(path, custom_objects={"MCDropout": MCDropout})
    claim.share("loaded", loaded.predict(ones, verbose=0) == 0, 0.5)
    with pytest.raises(TypeError, match="MCDropout"):
        keras.models.load_model(path)


def test_each_row_has_its_own_mask(claim):
    """Each row of a batch has a mask of its own, so one `predict` on repeated rows gives all passes: two of them agree
    in a share of {agree:.2f} of the units, as independent coins do."""
    samples = sample(always_on(dropping()), np.ones((500, 100), "float32"), passes=2)
    claim.exact("shape", samples.shape, (2, 500, 100))
    claim.share("agree", samples[0] == samples[1], 0.5)


def test_for_a_linear_model_the_mean_is_the_ordinary_prediction(claim):
    """Behind a linear model the mean over passes is the ordinary prediction, and the variance is rate/(1 − rate) · Σw²x²:
    {variance:.2f} measured, {variance.expected:.2f} by the formula."""
    model, x, n = dropping(keras.layers.Dense(1)), np.ones((1, 100), "float32"), 40_000
    passes = sample(always_on(model), x, passes=n)[:, 0, 0].astype("float64")
    expected = float(np.sum(model.get_weights()[0].astype("float64") ** 2))
    claim.sampled("mean", passes.mean(), model.predict(x, verbose=0)[0, 0], (expected / n) ** 0.5, n)
    deviation = ((passes - passes.mean()) ** 2).std() / n**0.5
    claim.sampled("variance", passes.var(), expected, deviation, n)


def test_behind_a_relu_the_mean_is_another(claim):
    """Behind a ReLU the mean over passes is not the ordinary prediction: {mean:.2f} against {ordinary:.2f}, where dropout
    acts on two values that cancel."""
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dropout(0.5), keras.layers.Dense(1, "relu", use_bias=False)]
    )
    model.set_weights([np.array([[1.0], [-1.0]])])
    x, n = np.ones((1, 2), "float32"), 10_000
    # 2, 0, 0 and −2 with equal probability, and the ReLU cuts the last one off
    claim.sampled("mean", sample(always_on(model), x, n).mean(), 0.5, (0.75 / n) ** 0.5, n)
    claim.close("ordinary", model.predict(x, verbose=0)[0, 0], 0, 0)


@pytest.mark.parametrize("passes", [4, 16, 64])
def test_four_times_the_passes_halve_the_error(claim, passes):
    """The error of the mean falls as one over the square root of the number of passes: {error_4:.2f} of the spread with 4
    passes, {error_16:.2f} with 16, {error_64:.2f} with 64."""
    model, x, repeats = dropping(keras.layers.Dense(1)), np.ones((1, 100), "float32"), 1000
    spread = float(np.sum(model.get_weights()[0].astype("float64") ** 2)) ** 0.5
    means = sample(always_on(model), x, passes * repeats)[:, 0, 0].reshape(repeats, passes).mean(axis=1)
    # the root of a mean of squares of nearly normal numbers
    claim.sampled(f"error_{passes}", means.std() / spread, passes**-0.5, (2 * repeats * passes) ** -0.5, repeats)


def test_the_spread_does_not_shrink_with_the_data(claim):
    """With a hundred times the examples, the standard error of a least-squares prediction shrinks by a factor of
    {standard:.0f}, and the spread of Monte Carlo dropout over the same weights by a factor of {dropout:.2f}."""
    rng, at, true = np.random.default_rng(0), np.ones(100), np.full(100, 0.5)
    standard, dropout = [], []
    for n in (500, 50_000):
        x = rng.normal(size=(n, 100))
        weights = np.linalg.lstsq(x, x @ true + rng.normal(size=n), rcond=None)[0]
        model = dropping(keras.layers.Dense(1, use_bias=False))
        model.set_weights([weights[:, None]])
        standard.append((at @ np.linalg.solve(x.T @ x, at)) ** 0.5)
        dropout.append(sample(always_on(model), at[None].astype("float32"), 20_000).std())
    # √100, and a little more, since the 100 weights use up some of the 500 examples
    claim.close("standard", standard[0] / standard[1], ((50_000 - 101) / (500 - 101)) ** 0.5, 1)
    claim.close("dropout", dropout[0] / dropout[1], 1, 0.1)


def test_accuracy_stays_the_same(claim, judged):
    """On 200 clean digits at rate 0.5, the mean over 30 passes changes accuracy by {accuracy.interval:+.2f} percentage
    points against dropout off."""
    claim.trained("accuracy", judged["passes"]["accuracy"] - judged["off"]["accuracy"], above=-0.5, below=0.5)


def test_likelihood_and_calibration_get_worse(claim, judged):
    """There the mean over 30 passes raises the loss by {loss.interval:+.3f}, and the calibration error by
    {error.interval:+.1f} percentage points."""
    claim.trained("loss", judged["passes"]["loss"] - judged["off"]["loss"], above=0)
    claim.trained("error", judged["passes"]["error"] - judged["off"]["error"], above=0)


def test_unknown_inputs_are_told_apart_better(claim, judged):
    """The entropy of that mean tells digits from images with shuffled pixels better: the area under the ROC curve changes
    by {unknown.interval:+.1f} of 100."""
    claim.trained("unknown", judged["passes"]["unknown"] - judged["off"]["unknown"], above=0)


@pytest.mark.only("torch", why="it is about PyTorch's own modules")
def test_in_pytorch_attention_and_lstm_are_reached(claim):
    """`only_dropout` also reaches {reached} kinds of PyTorch modules that hold a rate themselves, or that skip their Dropout in
    eval mode: `nn.MultiheadAttention`, `nn.LSTM`, `nn.GRU` and `nn.TransformerEncoderLayer`. Under `no_grad` two passes of
    each differ, and after `eval()` they agree."""
    import torch
    from mc_dropout_torch import only_dropout
    from torch import nn

    x, kinds = torch.randn(4, 6, 8), {"dropout": 0.5, "batch_first": True}
    layer = nn.TransformerEncoderLayer(8, 2, 16, **kinds)
    attention = nn.MultiheadAttention(8, 2, **kinds)
    modules = [attention, nn.LSTM(8, 8, 2, **kinds), nn.GRU(8, 8, 2, **kinds), nn.TransformerEncoder(layer, 2)]

    def differ(module):
        inputs = (x, x, x) if module is attention else (x,)
        with torch.no_grad():
            first, second = (out[0] if isinstance(out := module(*inputs), tuple) else out for _ in range(2))
        return not torch.equal(first, second)

    claim.exact("quiet", sum(differ(module.eval()) for module in modules), 0)
    claim.exact("reached", sum(differ(only_dropout(module)) for module in modules), 4)


def test_an_ensemble_does_better(claim, judged):
    """The mean of five networks without dropout beats 30 passes of one in loss, by {five_loss.interval:+.3f}, in calibration
    error, by {five_error.interval:+.1f}, and for unknown inputs, by {five_unknown.interval:+.1f}. In accuracy it is no
    point worse: {five_accuracy.interval:+.2f}."""
    gain = {name: judged["ensemble"][name] - judged["passes"][name] for name in judged["passes"]}
    claim.trained("five_loss", gain["loss"], below=0)
    claim.trained("five_error", gain["error"], below=0)
    claim.trained("five_unknown", gain["unknown"], above=0)
    claim.trained("five_accuracy", gain["accuracy"], above=-1)


def test_one_mask_for_all_rows(claim):
    """`OneMask` gives every row in every batch the same mask until `redraw`; with it, a share of {kept:.2f} of the units is
    kept."""
    layer, x = OneMask(0.5), np.ones((100, 10_000), "float32")
    model = keras.Sequential([keras.Input((10_000,)), layer])
    claim.exact("before_it_is_drawn", np.array_equal(model.predict(x, verbose=0), x), True)
    layer.redraw()
    first = model.predict(x, batch_size=32, verbose=0)
    claim.exact("rows_agree", int(np.ptp(first, axis=0).max()), 0)
    claim.share("kept", first[0] > 0, 0.5)
    claim.exact("the_next_call_agrees", np.array_equal(first, model.predict(x, verbose=0)), True)
    layer.redraw()
    claim.share("a_redrawn_mask_agrees", first[0] == model.predict(x, verbose=0)[0], 0.5)
    layer.clear()
    claim.exact("after_clear", np.array_equal(model.predict(x, verbose=0), x), True)


def test_noise_shape_shares_within_a_batch_only(claim):
    """`noise_shape=(1, None)` gives all rows of a batch one mask, and the next batch another: with the 64 rows that
    `predict` splits in two, the halves agree in a share of {halves:.2f}."""
    model = keras.Sequential([keras.Input((10_000,)), MCDropout(0.5, noise_shape=(1, None))])
    y = model.predict(np.ones((64, 10_000), "float32"), batch_size=32, verbose=0)
    claim.exact("within", int(max(np.ptp(half, axis=0).max() for half in (y[:32], y[32:]))), 0)
    claim.share("halves", y[0] == y[63], 0.5)


def test_resetting_the_seed_repeats_the_mask(claim):
    """A layer with a `seed` repeats its mask when the state of its `seed_generator` is put back before the next call."""
    layer, x = MCDropout(0.5, noise_shape=(1, None), seed=7), np.ones((8, 100), "float32")
    state = numpy(layer.seed_generator.state).copy()
    first, second = numpy(layer(x)), numpy(layer(x))
    layer.seed_generator.state.assign(state)
    claim.exact("second_differs", not np.array_equal(first, second), True)
    claim.exact("repeated", np.array_equal(first, numpy(layer(x))), True)


def test_training_true_couples_the_rows(claim):
    """With `model(x, training=True)` BatchNormalization uses the batch: a row's output changes when another row does. In
    the copy of `always_on` it does not, and the statistics stay."""
    model = keras.Sequential([keras.Input((10,)), keras.layers.BatchNormalization(), keras.layers.Dropout(0.5, seed=1)])
    x = np.random.default_rng(0).normal(size=(20, 10)).astype("float32")
    other = x.copy()
    other[0] += 100
    copy = always_on(model)

    def last_row(call, layer, inputs):
        layer.seed_generator.state.assign([1, 0])  # the same mask for both calls
        return numpy(call(inputs))[-1]

    moved = copy.layers[0].get_weights()
    couples = last_row(lambda v: model(v, training=True), model.layers[-1], x)
    coupled = last_row(lambda v: model(v, training=True), model.layers[-1], other)
    claim.exact("training_true", not np.allclose(couples, coupled), True)
    alone = last_row(copy, copy.layers[-1], x)
    claim.exact("copy_alone", np.array_equal(alone, last_row(copy, copy.layers[-1], other)), True)
    same = zip(moved, copy.layers[0].get_weights(), strict=True)
    claim.exact("copy_statistics_stay", all(np.array_equal(a, b) for a, b in same), True)


def test_on_at_test_time_only(claim, ones):
    """A subclass that passes `not training` on is off in training and on in prediction: shares of {test_only_train:.2f}
    and {test_only_predict:.2f}."""

    class TestOnly(keras.layers.Dropout):
        def call(self, inputs, training=None):
            return super().call(inputs, training=not training)

    model = keras.Sequential([keras.Input((100,)), TestOnly(0.5)])
    claim.exact("test_only_train", float(np.mean(numpy(model(ones, training=True)) == 0)), 0.0)
    claim.share("test_only_predict", model.predict(ones, verbose=0) == 0, 0.5)


def test_the_learned_rate_falls_with_the_data(claim):
    """A concrete dropout that starts at a rate of 0.27 ends higher on 50 examples than on 5000 of the same kind, by
    {rates.interval:+.2f} over {rates.n} seeds."""
    claim.trained("rates", [learned_rate(50, seed) - learned_rate(5000, seed) for seed in range(3)], above=0)


def test_its_penalty_is_the_published_one(claim):
    """The layer's penalty is ℓ²/(τN)·‖W‖²/(1 − r) − 2/(τN)·d·H(r): {penalty:.4f} for a layer of 100 inputs."""
    layer, rate = ConcreteDense(1, n=100, length=0.1, precision=2.0), 1 / (1 + np.e)
    layer(np.ones((4, 100), "float32"))
    norm = float(np.sum(layer.get_weights()[0].astype("float64") ** 2))
    entropy_of_rate = -rate * np.log(rate) - (1 - rate) * np.log(1 - rate)
    expected = 0.1**2 / 200 * norm / (1 - rate) - 2 / 200 * 100 * entropy_of_rate
    claim.close("penalty", float(layer.losses[0]), expected, 1e-5)


@pytest.mark.holds("keras>=3.0,<3.16", why="Keras 2 keeps what is written into the graph, and Keras 3.16 will again")
def test_the_mistakes_have_no_spread_or_move_the_statistics(claim, program):
    """The wrong twin: a `training=True` in the graph gives `predict` a spread of {spread:.2f}; calling the
    model with `training=True` gives one, and moves the statistics of BatchNormalization."""
    twin = program("mc_dropout_wrong")
    claim.close("spread", twin["spread"], 0, 1e-4)
    claim.exact("called_spread", bool(twin["samples"].std(axis=0).min() > 0), True)
    claim.exact("statistics_moved", not np.array_equal(twin["before"], twin["after"]), True)
