"""What is stochastic depth, or DropPath, and why is the branch divided by its survival probability?"""

import inspect

import keras
import numpy as np
import pytest
from fair_comparison import dense, digits, evaluate
from keras import layers
from stochastic_depth import DropPath, network, survival

numpy = keras.ops.convert_to_numpy


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


def training(layer, x):
    return numpy(layer(x, training=True))


def random(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@pytest.mark.parametrize("shape", [(8,), (10, 8), (4, 4, 8)])
def test_a_branch_is_dropped_for_an_example_or_kept_whole(claim, shape):
    """For each example the branch is dropped whole or kept whole, whatever its rank: at rate 0.3 a share of
    {share_1:.2f} is dropped."""
    out = training(DropPath(0.3), np.ones((5000, *shape), "float32")).reshape(5000, -1) == 0
    claim.exact(f"whole_{len(shape)}", bool((out.all(axis=1) == out.any(axis=1)).all()), True)
    claim.share(f"share_{len(shape)}", out[:, 0], 0.3)


def test_it_is_a_noise_shape(claim):
    """`DropPath` is `Dropout` with a `noise_shape` of `(None, 1, 1)`, value for value under the same seed."""
    x = random(50, 10, 8)
    pair = DropPath(0.3, seed=1), layers.Dropout(0.3, noise_shape=(None, 1, 1), seed=1)
    claim.exact("difference", float(np.abs(training(pair[0], x) - training(pair[1], x)).max()), 0.0)


def test_per_batch_all_examples_share_a_draw(claim):
    """With `per_batch` all examples of a batch share one draw: over 400 calls a share of {share:.2f} drops everything, and
    {mixed} calls drop a part."""
    layer, x = DropPath(0.3, per_batch=True), np.ones((8, 4), "float32")
    calls = np.array([training(layer, x) == 0 for _ in range(400)]).reshape(400, -1)
    claim.share("share", calls[:, 0], 0.3)
    claim.exact("mixed", int(np.sum(calls.all(axis=1) != calls.any(axis=1))), 0)


def test_a_mean_over_examples_carries_more_noise_per_batch(claim):
    """The mean over 100 examples of a branch of ones at rate 0.5 varies with a variance of {own:.3f} where each has a draw,
    and of {batch:.2f} where the batch shares one."""
    x = np.ones((100, 1), "float32")
    squares = {}
    for name, layer in {"own": DropPath(0.5), "batch": DropPath(0.5, per_batch=True)}.items():
        means = np.array([training(layer, x).mean() for _ in range(500)], "float64")
        squares[name] = (means - 1) ** 2
    claim.sampled("own", squares["own"].mean(), 0.01, squares["own"].std() / 500**0.5, 500)
    claim.close("batch", squares["batch"].mean(), 1, 1e-6)  # all of them are dropped, or none and doubled


def test_dividing_keeps_the_mean(claim):
    """Divided by the survival probability, the branch has in training, averaged over the draws, the value that it has at
    inference: {mean:.2f} against {inference:.2f}. Without dividing it would have {undivided:.2f}."""
    x, layer = np.full((20_000, 1), 2.0, "float32"), DropPath(0.3)
    out, error = training(layer, x).astype("float64"), 2 * (0.3 / 0.7 / 20_000) ** 0.5
    claim.sampled("mean", out.mean(), 2, error, 20_000)
    claim.close("inference", numpy(layer(x)).mean(), 2, 1e-6)
    claim.sampled("undivided", (2.0 * (out > 0)).mean(), 1.4, 0.7 * error, 20_000)


def test_dividing_in_training_and_multiplying_at_inference_are_one(claim):
    """The paper keeps the branch as it is in training and multiplies it by the survival probability at inference. With the
    branch's weights multiplied by that probability, dividing in training gives the same values in both phases."""
    x, kept = random(200, 8), 0.6
    paper, ours = layers.Dense(8), layers.Dense(8)
    paper.build((None, 8))
    ours.build((None, 8))
    ours.set_weights([w * kept for w in paper.get_weights()])
    mask = training(DropPath(1 - kept, seed=3), np.ones((200, 8), "float32")) * kept  # zeros and ones
    in_training = training(DropPath(1 - kept, seed=3), numpy(ours(x)))
    claim.close("paper_training", np.abs(in_training - mask * numpy(paper(x))).max(), 0, 1e-5)
    claim.close("paper_inference", np.abs(numpy(ours(x)) - kept * numpy(paper(x))).max(), 0, 1e-5)


def test_survival_falls_linearly(claim):
    """With 54 blocks and a last survival probability of 0.5 an example passes {expected:.2f} of them on average, three
    quarters; of 4,000 examples of a network with 12 blocks, whose mean is {twelve.expected:.2f}, it is {twelve:.2f}."""
    claim.close("expected", survival(54).sum(), (3 * 54 - 1) / 4, 1e-9)
    claim.close("first", survival(54)[0], 1 - 0.5 / 54, 1e-9)
    model, n = network(8, 12), 4000
    branches = [layer.output for layer in model.layers if isinstance(layer, DropPath)]
    outputs = keras.Model(model.inputs, branches)(random(n, 8), training=True)
    passed = np.sum([(numpy(out) != 0).any(axis=1) for out in outputs], axis=0)
    kept = survival(12)
    claim.sampled("twelve", passed.mean(), kept.sum(), np.sqrt((kept * (1 - kept)).sum() / n), n)


def test_the_branch_is_computed_for_dropped_examples_too(claim):
    """No time is saved: the branch is computed for every example and then masked. A BatchNormalization in the branch has
    the same moving mean after a training step with DropPath at rate 0.9 behind it as without."""
    x, means = random(64, 8), []
    for rate in (0.9, 0.0):
        norm = layers.BatchNormalization(momentum=0.5)
        y = inputs = keras.Input((8,))
        y = layers.Add()([inputs, DropPath(rate)(norm(y))])
        keras.Model(inputs, y)(x, training=True)
        means.append(numpy(norm.moving_mean))
    claim.exact("moved", bool(np.abs(means[0]).max() > 0), True)
    claim.close("difference", np.abs(means[0] - means[1]).max(), 0, 1e-7)


def test_its_settings_are_saved(claim, tmp_path):
    """A saved model gets its DropPath back, with rate and `per_batch`."""
    x = inputs = keras.Input((8,))
    model = keras.Model(inputs, layers.Add()([x, DropPath(0.3, per_batch=True)(layers.Dense(8)(x))]))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", custom_objects={"DropPath": DropPath})
    found = next(layer for layer in loaded.layers if isinstance(layer, DropPath))
    claim.exact("settings", [found.rate, found.per_batch], [0.3, True])


def test_in_place_of_it_dropout_leaves_no_branch_out(claim):
    """Ordinary Dropout in the same place leaves no branch out whole: of 2,000 branches of 64 values at rate 0.3 it drops
    {dropout} whole, DropPath a share of {path:.2f}. The mean of a branch of ones then varies with a variance of
    {dropout_variance:.4f} instead of {path_variance:.2f}."""
    x = np.ones((2000, 64), "float32")
    out = {"dropout": training(layers.Dropout(0.3), x), "path": training(DropPath(0.3), x)}
    claim.exact("dropout", int((out["dropout"] == 0).all(axis=1).sum()), 0)
    claim.share("path", (out["path"] == 0).all(axis=1), 0.3)
    for name, expected in (("dropout", 0.3 / 0.7 / 64), ("path", 0.3 / 0.7)):
        squares = (out[name].astype("float64").mean(axis=1) - 1) ** 2
        claim.sampled(f"{name}_variance", squares.mean(), expected, squares.std() / 2000**0.5, 2000)


def application(name, **options):
    build = getattr(keras.applications, name)
    return build(weights=None, include_top=False, input_shape=(32, 32, 3), **options)


def drops(model):
    return [layer for layer in model.layers if isinstance(layer, layers.Dropout)]


@pytest.mark.parametrize(("name", "blocks", "count"), [("EfficientNetB0", 16, 9), ("EfficientNetV2B0", 21, 15)])
def test_keras_efficientnets_have_it_as_dropout_with_a_noise_shape(claim, name, blocks, count):
    """Keras' EfficientNets have it, as `Dropout` layers with `noise_shape=(None, 1, 1, 1)`, called `…_drop`, in front of
    each addition: {count_EfficientNetB0} in B0 and {count_EfficientNetV2B0} in V2-B0. Their rate is the share that is
    dropped, and rises linearly with the block, to {last_EfficientNetB0:.3f} and {last_EfficientNetV2B0:.3f}."""
    found = drops(application(name))
    claim.exact(f"count_{name}", len(found), count)
    claim.exact(f"shapes_{name}", {layer.noise_shape for layer in found} == {(None, 1, 1, 1)}, True)
    claim.exact(f"names_{name}", all(layer.name.endswith("_drop") for layer in found), True)
    block = np.array([layer.rate for layer in found]) * blocks / 0.2  # which of the blocks it is
    claim.close(f"linear_{name}", np.abs(block - block.round()).max(), 0, 1e-6)
    claim.close(f"last_{name}", found[-1].rate, 0.2 * (blocks - (2 if name == "EfficientNetB0" else 1)) / blocks, 1e-6)
    out = training(found[-1], np.ones((20_000, 1, 1, 4), "float32")) == 0
    claim.share(f"dropped_{name}", out[:, 0, 0, 0], found[-1].rate)


@pytest.mark.parametrize("name", ["EfficientNetB0", "EfficientNetV2B0", "ConvNeXtTiny"])
def test_no_model_of_keras_applications_takes_the_rate(claim, name):
    """`drop_connect_rate` is no argument of `EfficientNetB0`, `EfficientNetV2B0` or `ConvNeXtTiny`: they answer with a
    {error_EfficientNetB0}."""
    with pytest.raises(TypeError, match="drop_connect_rate") as caught:
        application(name, drop_connect_rate=0.4)
    claim.exact(f"error_{name}", type(caught.value).__name__, "TypeError")
    arguments = inspect.signature(getattr(keras.applications, name)).parameters
    claim.exact(f"arguments_{name}", [a for a in arguments if "drop" in a or "survival" in a], [])


@pytest.mark.only("tensorflow", why="Keras 2 runs on TensorFlow alone")
def test_in_keras_2_efficientnet_took_the_rate(claim):
    """In Keras 2 `EfficientNetB0(drop_connect_rate=0.4)` handed the argument on: its last block then drops at a rate of
    {last:.2f}, and {default:.3f} without it."""
    import tf_keras

    def last(**options):
        model = tf_keras.applications.EfficientNetB0(weights=None, **options)
        return [layer.rate for layer in model.layers if isinstance(layer, tf_keras.layers.Dropout)][-2]

    claim.close("last", last(drop_connect_rate=0.4), 0.4 * 15 / 16, 0.03)
    claim.close("default", last(), 0.2 * 15 / 16, 0.015)


def test_set_the_rate_on_the_layers(claim):
    """Set on the layers, before anything is compiled, it counts: with every rate doubled, the last block of EfficientNetB0
    is left out for a share of {share:.2f}."""
    model = application("EfficientNetB0")
    for layer in drops(model):
        layer.rate *= 2
    last = model.get_layer("block6d_drop")
    probe = keras.Model(model.inputs, [last.input, last.output])
    before, after = (numpy(out) for out in probe(100 * random(1000, 32, 32, 3), training=True))
    claim.exact("rate", round(float(last.rate), 6), 0.35)
    claim.exact("input_is_not_zero", bool((before != 0).any(axis=(1, 2, 3)).all()), True)
    claim.share("share", (after == 0).all(axis=(1, 2, 3)), 0.35)


def test_convnext_has_none(claim):
    """Keras' ConvNeXt models are built with a rate of zero: ConvNeXtTiny has {found} layers that drop anything."""
    model = application("ConvNeXtTiny")
    kinds = [type(layer).__name__ for layer in model._flatten_layers()]
    claim.exact("found", sum("Drop" in kind or "Stochastic" in kind for kind in kinds), 0)
    claim.exact("blocks", sum(kind == "LayerScale" for kind in kinds), 18)


def test_keras_own_layer_draws_for_each_example(claim):
    """The `StochasticDepth` layer inside Keras' ConvNeXt says that it drops whole batches; it draws for each example: a
    share of {share:.2f} of one batch at rate 0.5."""
    from keras.src.applications.convnext import StochasticDepth

    out = training(StochasticDepth(0.5), np.ones((2000, 2, 2, 4), "float32")).reshape(2000, -1) == 0
    claim.share("share", out[:, 0], 0.5)
    claim.exact("whole", bool((out.all(axis=1) == out.any(axis=1)).all()), True)
    claim.exact("says", "batch-wise" in StochasticDepth.__doc__, True)


REPLICAS = 24
GROUPS = {  # labels, and what stands on the branches; networks of all groups train side by side, on the same digits
    "noisy_none": lambda rate: [],
    "noisy_path": lambda rate: [layers.Dropout(rate, noise_shape=(None, None, 1))],
    "noisy_batch": lambda rate: [layers.Dropout(rate, noise_shape=(1, None, 1))],
    "noisy_values": lambda rate: [layers.Dropout(rate)],
    "clean_none": lambda rate: [],
    "clean_path": lambda rate: [layers.Dropout(rate, noise_shape=(None, None, 1))],
    "clean_sum": lambda rate: [],  # which has it behind the addition
}


def by_group(x, made):
    parts = keras.ops.split(x, len(GROUPS), axis=1)
    for number, found in enumerate(made):
        for layer in found:
            parts[number] = layer(parts[number])
    return layers.Concatenate(axis=1)(parts)


def residual(blocks=12, width=32):
    """Pre-norm blocks of two Dense layers, with stochastic depth by group: one network for each replica of each group."""

    def normalise(x):
        return layers.LayerNormalization(center=False, scale=False)(x)

    replicas = REPLICAS * len(GROUPS)
    inputs = keras.Input((replicas, 64))
    x = dense(replicas, width)(inputs)
    for rate in 1 - survival(blocks):
        y = dense(replicas, width)(dense(replicas, width, "relu")(normalise(x)))
        y = by_group(y, [build(rate) for build in GROUPS.values()])
        x = layers.Add()([x, y])
        x = by_group(x, [GROUPS["clean_path"](rate) if name == "clean_sum" else [] for name in GROUPS])
    return [keras.Model(inputs, dense(replicas, 10)(normalise(x)))]


@pytest.fixture(scope="module")
def accuracy():
    """Of each group, replica by replica."""
    sets = [digits(500, REPLICAS, noise=0.3 if name.startswith("noisy") else 0) for name in GROUPS]
    data = [np.concatenate(part, axis=1) for part in zip(*sets, strict=True)]
    return dict(zip(GROUPS, evaluate(residual, data, epochs=20)[0].reshape(-1, REPLICAS), strict=True))


def test_against_wrong_labels_it_helps_and_so_does_dropout(claim, accuracy):
    """On 500 digits, 30 % of their labels random, stochastic depth in 12 blocks, survival falling to 0.5, raises accuracy by
    {gain.interval:+.1f} percentage points over {gain.n} paired replicas. One draw per batch changes that by
    {sharing.interval:+.1f}, and ordinary Dropout in its place, at the same rates, by {values.interval:+.1f}: neither makes a
    difference of five points."""
    claim.trained("gain", accuracy["noisy_path"] - accuracy["noisy_none"], above=0)
    claim.trained("sharing", accuracy["noisy_batch"] - accuracy["noisy_path"], above=-5, below=5)
    claim.trained("values", accuracy["noisy_values"] - accuracy["noisy_path"], above=-5, below=5)


def test_on_clean_labels_it_changes_little_and_on_the_sum_it_ruins(claim, accuracy):
    """With the labels right, it changes accuracy by {clean.interval:+.1f} percentage points over {clean.n} paired replicas,
    less than two. Behind the addition, at the same rates, it costs {on_the_sum.interval:+.1f}."""
    claim.trained("clean", accuracy["clean_path"] - accuracy["clean_none"], above=-2, below=2)
    claim.trained("on_the_sum", accuracy["clean_sum"] - accuracy["clean_none"], below=-5)


def test_on_the_sum_the_identity_path_is_lost(claim, program):
    """The wrong twin: on the sum at rate 0.2, a share of {left:.2f} of the examples is left after 12 blocks, the twelfth
    power of 0.8; on the branch all of them are."""
    twin = program("stochastic_depth_wrong")
    y = {name: training(twin["stack"](twin[name]), twin["ones"]) for name in ("on_the_branch", "on_the_sum")}
    claim.share("left", (y["on_the_sum"] != 0).any(axis=1), 0.8**12)
    claim.exact("branch", int((y["on_the_branch"] == 0).sum()), 0)
