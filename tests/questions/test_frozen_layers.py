"""Does freezing a layer or a model switch its Dropout off?"""

import inspect

import keras
import numpy as np
import pytest
from fair_comparison import dense, evaluate
from frozen_layers import AtInference, step, zeros
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

numpy = keras.ops.convert_to_numpy
REPLICAS = 20
N = 100 * 1000  # outputs that `step` looks at


def half(claim, name, value):
    claim.sampled(name, value, 0.5, (0.25 / N) ** 0.5, N)


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(1000, 100)).astype("float32")


def test_freezing_stops_the_weights_and_not_the_dropout(claim):
    """In `fit` a base with `trainable = False` drops a share of {frozen:.2f}, and one that trains {open:.2f}; its weights
    stay where they are."""
    for name, trainable in (("open", True), ("frozen", False)):
        weights, share, _ = step(lambda base: base, trainable)
        claim.exact(f"weights_move_{name}", weights, trainable)
        half(claim, name, share)


KINDS = {
    "Dropout": (lambda: layers.Dropout(0.5), (16,)),
    "SpatialDropout1D": (lambda: layers.SpatialDropout1D(0.5), (6, 4)),
    "SpatialDropout2D": (lambda: layers.SpatialDropout2D(0.5), (8, 8, 3)),
    "SpatialDropout3D": (lambda: layers.SpatialDropout3D(0.5), (4, 4, 4, 3)),
    "AlphaDropout": (lambda: layers.AlphaDropout(0.5), (16,)),
    "GaussianDropout": (lambda: layers.GaussianDropout(0.5), (16,)),
    "GaussianNoise": (lambda: layers.GaussianNoise(0.5), (16,)),
    "SimpleRNN": (lambda: layers.SimpleRNN(4, dropout=0.5), (6, 4)),
    "LSTM": (lambda: layers.LSTM(4, dropout=0.5), (6, 4)),
    "GRU": (lambda: layers.GRU(4, recurrent_dropout=0.5), (6, 4)),
    "MultiHeadAttention": (lambda: layers.MultiHeadAttention(2, 4, dropout=0.5), (6, 4)),
    "RandomTranslation": (lambda: layers.RandomTranslation(0.3, 0.3), (8, 8, 3)),
}


def test_every_kind_of_noise_stays_on(claim):
    """Of {kinds} kinds of layers that are random in training, dropout of every shape, noise, dropout within recurrent and
    attention layers and augmentation, all {random} stay so when they are frozen."""
    random = []
    for kind, (build, shape) in KINDS.items():
        layer, value = build(), np.random.default_rng(0).random((16, *shape), dtype="float32")
        values = [value, value] if kind == "MultiHeadAttention" else [value]
        layer(*values)
        layer.trainable = False
        random.append(not np.array_equal(numpy(layer(*values, training=True)), numpy(layer(*values))))
    claim.exact("kinds", len(KINDS), 12)
    claim.exact("random", sum(random), 12)


def test_one_layer_alone_reads_trainable(claim):
    """Of all layers of Keras, one kind looks at `trainable` when it is called: {readers}. Called with `training=True` it
    normalises by the batch, and once frozen by its statistics."""
    classes = {c for c in vars(layers).values() if inspect.isclass(c) and issubclass(c, layers.Layer)}
    readers = sorted(c.__name__ for c in classes if "self.trainable" in inspect.getsource(c.call))
    claim.exact("readers", ", ".join(readers), "BatchNormalization")
    norm, value = layers.BatchNormalization(), np.random.default_rng(0).normal(3, size=(1000, 4)).astype("float32")
    claim.close("mean_by_the_batch", numpy(norm(value, training=True)).mean(), 0, 0.01)
    norm.trainable = False
    by_statistics = numpy(norm(value, training=False))
    claim.exact("frozen_by_statistics", bool(np.array_equal(numpy(norm(value, training=True)), by_statistics)), True)
    claim.exact("statistics_are_others", bool(by_statistics.mean() > 1), True)


def test_at_inference_silences_the_base_and_lets_it_train(claim):
    """In `AtInference` a base drops a share of {quiet:.2f} in `fit` and moves no statistics, while its weights train
    unless they are frozen."""
    weights, share, statistics = step(AtInference, trainable=True)
    claim.exact("quiet", share, 0.0)
    claim.exact("statistics_stay", not statistics, True)
    claim.exact("weights_train", weights, True)
    claim.exact("frozen_ones_do_not", step(AtInference, trainable=False)[0], False)


class Whole(keras.Model):
    """The base and a Dropout of the head, called one after the other in a `call` of one's own."""

    def __init__(self, base, drop):
        super().__init__()
        self.base, self.drop = base, drop

    def call(self, inputs, training=None):
        return self.drop(self.base(inputs), training=training)


@pytest.mark.parametrize("kind", ["functional", "sequential", "subclass"])
def test_at_inference_leaves_the_head_alone(claim, x, kind):
    """A Dropout(0.2) of the head, behind `AtInference`, drops as ever in `fit`: a share of {functional:.2f} in a functional
    model, {sequential:.2f} in a Sequential one, and {subclass:.2f} in a subclass that passes `training` on."""
    base = keras.Sequential([keras.Input((100,)), layers.Dense(100), layers.Dropout(0.5)])
    quiet, drop, inputs = AtInference(base), layers.Dropout(0.2), keras.Input((100,))
    build = {
        "functional": lambda: keras.Model(inputs, drop(quiet(inputs))),
        "sequential": lambda: keras.Sequential([inputs, quiet, drop]),
        "subclass": lambda: Whole(quiet, drop),
    }
    model = build[kind]()
    model.compile("sgd", "mse", metrics=[zeros])
    share = model.fit(x, x, batch_size=1000, verbose=0).history["zeros"][0]
    claim.sampled(kind, share, 0.2, (0.16 / N) ** 0.5, N)


class Bare(AtInference):
    """As `AtInference`, without the Dropout(0) at its end."""

    def call(self, inputs, training=None):
        return self.model(inputs, training=False)


def behind(wrap, build):
    """The share that a Dropout(0.2) behind a wrapped base drops in a training call of a whole model."""
    base = keras.Sequential([keras.Input((100,)), layers.Dense(100), layers.Dropout(0.5)])
    model = build(wrap(base), layers.Dropout(0.2))
    return np.mean(numpy(model(np.ones((N // 100, 100), "float32"), training=True)) == 0)


def test_at_inference_tells_the_head_to_train(claim):
    """In a subclass whose `call` passes nothing on, called with `training=True`, a Dropout(0.2) behind `AtInference` drops
    {told:.2f}. Without the Dropout(0) at the wrapper's end, which passes `training` on, it drops nothing."""

    class Silent(Whole):
        def call(self, inputs):
            return self.drop(self.base(inputs))

    claim.sampled("told", behind(AtInference, Silent), 0.2, (0.16 / N) ** 0.5, N)
    claim.exact("untold", float(behind(Bare, Silent)), 0.0)


@pytest.mark.holds(
    "keras>=3.0,<3.16", why="in the nightly build of Keras 3.16 what a layer is told leaks there as well"
)
def test_in_a_functional_model_the_head_needs_no_telling(claim):
    """In a functional model the head drops without that Dropout(0), too: {functional_bare:.2f}."""
    share = behind(Bare, lambda quiet, drop: keras.Model(inputs := keras.Input((100,)), drop(quiet(inputs))))
    claim.sampled("functional_bare", share, 0.2, (0.16 / N) ** 0.5, N)


def test_at_inference_is_saved_with_the_model(claim, x, tmp_path):
    """A model with `AtInference` in it can be saved and loaded: it then predicts the same."""
    base = keras.Sequential([keras.Input((100,)), layers.Dense(8), layers.Dropout(0.5)])
    model = keras.Sequential([keras.Input((100,)), AtInference(base), layers.Dense(1)])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    claim.exact("loaded", np.array_equal(model.predict(x, verbose=0), loaded.predict(x, verbose=0)), True)


def test_features_computed_once_train_the_same_head(claim, x):
    """A head trained on `base.predict(x)` ends with the weights of one trained on the quiet frozen base: the largest
    difference is below one in ten thousand, and the base runs once instead of {epochs} times."""
    base = keras.Sequential([keras.Input((100,)), layers.Dense(50, activation="relu"), layers.Dropout(0.5)])
    base.trainable, targets, epochs, heads = False, x[:, :1], 5, []
    for inputs, parts in ((x, [AtInference(base)]), (base.predict(x, verbose=0), [])):
        head = layers.Dense(1, kernel_initializer="ones")
        model = keras.Sequential([keras.Input(inputs.shape[1:]), *parts, head])
        model.compile(keras.optimizers.SGD(0.01), "mse")
        model.fit(inputs, targets, epochs=epochs, shuffle=False, verbose=0)
        heads.append(numpy(head.kernel))
    claim.exact("epochs", epochs, 5)
    claim.exact("it_trained", bool(np.abs(heads[0] - 1).max() > 0.01), True)
    claim.close("largest_difference", np.abs(heads[0] - heads[1]).max(), 0, 1e-4)


def test_what_the_noise_of_a_frozen_base_does_to_a_head(claim):
    """A base trained with dropout on the digits 0 to 4 and frozen, and a new output layer trained on {examples} of the
    digits 5 to 9: with the base's two Dropout(0.5) on, accuracy changes by {half_rate.interval:+.1f} percentage points
    against the quiet base, with rate 0.1 by {tenth.interval:+.1f}, over {tenth.n} paired replicas."""
    digits, labels = load_digits(return_X_y=True)
    digits, old = (digits / 16).astype("float32"), labels < 5
    everyone = [np.stack([part] * REPLICAS, axis=1) for part in (digits[old], labels[old])]
    hidden = [dense(REPLICAS, 128, "relu"), dense(REPLICAS, 64, "relu")]

    def network(rate):
        return [hidden[0], layers.Dropout(rate), hidden[1], layers.Dropout(rate), dense(REPLICAS, 10)]

    base_accuracy, _ = evaluate(lambda: network(0.5), [*everyone, *everyone], epochs=10)
    for layer in hidden:
        layer.trainable = False
    splits = [
        train_test_split(digits[~old], labels[~old], train_size=200, stratify=labels[~old], random_state=r)
        for r in range(REPLICAS)
    ]
    x_train, x_test, y_train, y_test = (np.stack(part, axis=1) for part in zip(*splits, strict=True))
    data = x_train, y_train, x_test, y_test
    quiet, tenth, half_rate = (evaluate(lambda r=rate: network(r), data, epochs=60) for rate in (0, 0.1, 0.5))
    claim.exact("examples", len(x_train), 200)
    claim.trained("base_accuracy", base_accuracy, above=90)
    claim.trained("quiet_accuracy", quiet[0], above=50)
    claim.trained("half_rate", half_rate[0] - quiet[0], below=0)
    claim.trained("tenth", tenth[0] - quiet[0], below=0)
    claim.trained("tenth_loss", tenth[1] - quiet[1], above=0)
    claim.trained("half_rate_loss", half_rate[1] - quiet[1], above=0)


def test_a_frozen_dropout_layer_still_drops(claim, program):
    """The wrong twin: freezing the Dropout layers freezes {frozen_weights} weights, and they drop a share of
    {twin:.2f} in training; with `rate = 0` they drop nothing."""
    twin = program("frozen_layers_wrong")
    claim.exact("frozen_weights", twin["unfrozen"] - len(twin["model"].trainable_weights), 0)
    claim.share("twin", twin["dropped"][twin["active"] > 0] == 0, 0.5)
    claim.exact("twin_off", int(np.sum(twin["off"][twin["active"] > 0] == 0)), 0)


@pytest.mark.only("torch", why="it is about PyTorch's own modules")
def test_in_pytorch_freezing_stops_neither(claim):
    """In PyTorch a base whose parameters have `requires_grad=False` drops a share of {torch_frozen:.2f} in training, and
    its BatchNorm goes on moving its statistics."""
    import torch
    from frozen_layers_torch import base, look

    torch.manual_seed(0)
    share, statistics = look(base())
    half(claim, "torch_frozen", share)
    claim.exact("torch_statistics_move", statistics, True)


@pytest.mark.only("torch", why="it is about PyTorch's own modules")
def test_in_pytorch_train_undoes_eval(claim):
    """In PyTorch `model.train()` undoes an earlier `base.eval()`: the base drops a share of {torch_undone:.2f}. In a module
    that keeps it in evaluation mode it drops nothing, and its statistics stay."""
    import torch
    from frozen_layers_torch import AtInference as Kept
    from frozen_layers_torch import base, look

    torch.manual_seed(0)
    half(claim, "torch_undone", look(base().eval())[0])
    claim.exact("torch_kept", look(Kept(base())), (0.0, False))
