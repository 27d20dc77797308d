"""Does Dropout make sense together with L2, weight decay, early stopping or augmentation?"""

import itertools

import keras
import numpy as np
import pytest
from fair_comparison import at_once, batches, digits, glorot
from keras import layers
from with_other_regularisers import step

numpy = keras.ops.convert_to_numpy
REPLICAS = 8
# name → (rate of Dropout, strength of L2, augmented): all train at once, as one model
ARMS = {
    "none": (0, 0, False),
    "l2_3": (0, 0.003, False),
    "l2_10": (0, 0.01, False),
    "dropout": (0.5, 0, False),
    "dropout_l2_3": (0.5, 0.003, False),
    "dropout_l2_10": (0.5, 0.01, False),
    "augmented": (0, 0, True),
    "dropout_augmented": (0.5, 0, True),
}
ALL = len(ARMS) * REPLICAS


def each(values, shape):
    """A value for each arm as a constant for each replica."""
    return np.repeat(np.array(values, "float32"), REPLICAS).reshape(shape)


class Some(layers.Layer):
    """Does to the arms that are marked what a layer does to all."""

    def __init__(self, layer, marked, axis):
        super().__init__()
        self.layer, shape = layer, [1, 1, 1]
        shape[axis] = ALL
        self.marked = each(marked, shape)

    def call(self, x, training=None):
        marked = keras.ops.convert_to_tensor(self.marked)
        return x + marked * (self.layer(x, training=training) - x)


class Shift(layers.Layer):
    """Shifts images of 8 × 8 by up to a pixel: `(batch, replicas, 64)`."""

    def __init__(self):
        super().__init__()
        self.shift = layers.RandomTranslation(1 / 8, 1 / 8, fill_mode="constant", data_format="channels_last")

    def call(self, x, training=None):
        images = keras.ops.reshape(keras.ops.transpose(x, (0, 2, 1)), (-1, 8, 8, ALL))
        shifted = keras.ops.reshape(self.shift(images, training=training), (-1, 64, ALL))
        return keras.ops.transpose(shifted, (0, 2, 1))


def alike(shape, dtype=None):
    """The same weights for each arm."""
    return keras.ops.tile(glorot((REPLICAS, *shape[1:]), dtype), (len(ARMS), 1, 1))


class L2(keras.regularizers.Regularizer):
    """A strength for each arm."""

    def __call__(self, kernel):
        strength = each([l2 for _, l2, _ in ARMS.values()], (ALL, 1, 1))
        return keras.ops.sum(keras.ops.convert_to_tensor(strength) * keras.ops.square(kernel))


def dense(units, activation=None):
    shape = {"output_shape": (ALL, units), "bias_axes": "ro", "kernel_initializer": alike}
    return layers.EinsumDense("bri,rio->bro", activation=activation, kernel_regularizer=L2(), **shape)


def measure(model, x, y):
    """Of each replica: the loss on the first 300 examples, for validation, and the accuracy in percent on the others."""
    logits = numpy(model(x))
    losses = keras.losses.sparse_categorical_crossentropy(y[:300], logits[:300], from_logits=True)
    return numpy(losses).mean(0), 100 * (logits[300:].argmax(-1) == y[300:]).mean(0)


@pytest.fixture(scope="module")
def trained():
    """Of each arm on 500 digits with 30 % random labels: accuracy at the end, at the best epoch on validation data, and
    that epoch."""
    x, y, x_rest, y_rest = (
        np.tile(part, (1, len(ARMS), *[1] * (part.ndim - 2))) for part in digits(500, REPLICAS, 0.3)
    )
    keras.utils.set_random_seed(0)
    rates = [rate > 0 for rate, _, _ in ARMS.values()]
    drops = [Some(layers.Dropout(0.5), rates, axis=1) for _ in range(2)]
    shift = Some(Shift(), [augmented for *_, augmented in ARMS.values()], axis=1)
    parts = [shift, dense(128, "relu"), drops[0], dense(64, "relu"), drops[1], dense(10)]
    model = keras.Sequential([keras.Input(x.shape[1:]), *parts])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.002), loss, loss_weights=float(ALL), steps_per_execution=at_once(16))
    curve = []

    def look(epoch, logs):
        if epoch % 2:  # every second epoch, which is quicker
            curve.append(measure(model, x_rest[:800], y_rest[:800]))

    each = [keras.callbacks.LambdaCallback(on_epoch_end=look)]
    model.fit(batches(x, y, 16, 0), steps_per_epoch=16, epochs=40, verbose=0, callbacks=each)
    (validation, accuracy) = np.array(curve).transpose(1, 0, 2)
    best = validation.argmin(0)
    found = {"end": accuracy[-1], "stopped": accuracy[best, np.arange(ALL)], "best": 2 * best + 2}
    return {name: dict(zip(ARMS, values.reshape(len(ARMS), REPLICAS), strict=True)) for name, values in found.items()}


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


def test_the_penalty_is_the_same_with_dropout_on_and_off(claim):
    """The L2 penalty is the same in training and at inference: it is computed from the weights, and Dropout masks none."""
    penalised = layers.Dense(50, kernel_regularizer=keras.regularizers.L2(0.01))
    model = keras.Sequential([keras.Input((20,)), penalised, layers.Dropout(0.5)])
    x, values = np.ones((4, 20), "float32"), []
    for training in (True, False):
        model(x, training=training)
        values.append(float(model.losses[0]))
    claim.exact("same_penalty", values[0] == values[1], True)
    claim.close("penalty", values[0] / (0.01 * np.square(numpy(penalised.kernel)).sum()), 1, 1e-5)


def test_l2_shrinks_the_weights_of_dropped_units(claim):
    """In a step of SGD with a learning rate of 0.1 and `L2(0.1)`, the weights of dropped units shrink all by the same
    factor, {l2_factor:.2f}; without the penalty they do not move."""
    before, after, dropped = step(keras.optimizers.SGD(0.1), 0.1)
    claim.share("l2_dropped", dropped, 0.5)
    claim.close("l2_factor", np.median(after / before), 0.98, 1e-4)
    claim.close("l2_largest_difference", np.abs(after - 0.98 * before).max(), 0, 1e-6)
    before, after, _ = step(keras.optimizers.SGD(0.1))
    claim.exact("without_largest_change", np.abs(after - before).max(), 0.0)


def test_adamw_decays_them_too(claim):
    """AdamW decays the weights of dropped units as all others: by a factor of {adamw_factor:.2f} with a learning rate of 0.1
    and a decay of 0.2."""
    before, after, _ = step(keras.optimizers.AdamW(0.1, weight_decay=0.2))
    claim.close("adamw_factor", np.median(after / before), 0.98, 1e-4)
    claim.close("adamw_largest_difference", np.abs(after - 0.98 * before).max(), 0, 1e-6)


def test_adam_takes_a_whole_step_for_any_penalty(claim):
    """With Adam at a learning rate of 0.01, the first step moves the weights of dropped units by {strong:.3f} each with
    `L2(0.1)` and by {weak:.3f} with `L2(0.01)`: the strength cancels out."""
    for name, l2 in (("strong", 0.1), ("weak", 0.01)):
        before, after, _ = step(keras.optimizers.Adam(0.01), l2)
        claim.close(name, np.median(np.abs(after - before)), 0.01, 2e-4)
        shrinks = np.abs(after) < np.abs(before)
        claim.exact(f"{name}_large_weights_shrink", bool(shrinks[np.abs(before) > 0.01].all()), True)


def test_max_norm_holds_for_every_unit(claim):
    """A `MaxNorm(1)` holds after each of {steps} steps for all units, dropped or not: the largest norm is {norm:.2f}. Without
    it they grow beyond that."""
    rng, largest, steps = np.random.default_rng(0), {}, 20
    x, y = rng.normal(size=(256, 20)).astype("float32"), rng.normal(scale=10, size=(256, 1)).astype("float32")
    for name, constraint in {"free": None, "norm": keras.constraints.MaxNorm(1)}.items():
        hidden = layers.Dense(100, activation="relu", kernel_constraint=constraint)
        model = keras.Sequential([keras.Input((20,)), hidden, layers.Dropout(0.5), layers.Dense(1)])
        model.compile(keras.optimizers.Adam(0.05), "mse")
        norms = []
        for _ in range(steps):
            model.train_on_batch(x, y)
            norms.append(np.linalg.norm(numpy(hidden.kernel), axis=0).max())
        largest[name] = max(norms)
    claim.exact("steps", steps, 20)
    claim.close("norm", largest["norm"], 1, 1e-5)
    claim.exact("free_ones_grow", bool(largest["free"] > 1.5), True)


def test_in_a_linear_model_dropout_is_a_penalty(claim):
    """In linear regression the squared loss with dropout, averaged over all {masks} masks, is the loss without it plus
    r/(1 − r) times the sum of the squares of weight times input."""
    rng, rate = np.random.default_rng(0), 0.3
    x, w, y = rng.normal(size=10), rng.normal(size=10), 1.0
    mean = 0.0
    for mask in itertools.product((0, 1), repeat=10):
        chance = (1 - rate) ** sum(mask) * rate ** (10 - sum(mask))
        mean += chance * (y - np.sum(w * x * mask) / (1 - rate)) ** 2
    claim.exact("masks", 2**10, 1024)
    expected = (y - w @ x) ** 2 + rate / (1 - rate) * np.sum((w * x) ** 2)
    claim.close("linear", mean / expected, 1, 1e-9)


def gain(trained, name, of="end", against="none", base="end"):
    return trained[of][name] - trained[base][against]


def test_each_helps_where_labels_are_wrong(claim, trained):
    """On 500 digits with 30 % random labels each helps by itself, in percentage points of accuracy: Dropout(0.5)
    {dropout.interval:+.1f}, `L2(0.01)` {l2_10.interval:+.1f}, `L2(0.003)` {l2_3.interval:+.1f}, early stopping
    {stopping.interval:+.1f}, shifted images {augmented.interval:+.1f}, over {dropout.n} paired replicas."""
    claim.trained("level", trained["end"]["none"], above=50)
    for name in ("dropout", "l2_10", "l2_3", "augmented"):
        claim.trained(name, gain(trained, name), above=0)
    claim.trained("stopping", gain(trained, "none", of="stopped"), above=0)


def test_their_gains_do_not_add_up(claim, trained):
    """Beside Dropout(0.5) nothing is gained: `L2(0.003)` changes accuracy by {beside_l2_3.interval:+.1f} percentage points
    and early stopping by {beside_stopping.interval:+.1f}, which is no difference shown, `L2(0.01)` by
    {beside_l2_10.interval:+.1f} and shifted images by {beside_augmented.interval:+.1f}."""
    beside = {name: gain(trained, f"dropout_{name}", against="dropout") for name in ("l2_3", "l2_10", "augmented")}
    claim.trained("beside_l2_3", beside["l2_3"], above=-3, below=3)
    claim.trained("beside_l2_10", beside["l2_10"], below=0)
    claim.trained("beside_augmented", beside["augmented"], below=0)
    stopping = gain(trained, "dropout", of="stopped", against="dropout")
    claim.trained("beside_stopping", stopping, above=-2, below=2)


def test_beside_dropout_a_strong_penalty_is_too_strong(claim, trained):
    """From `L2(0.003)` to `L2(0.01)` accuracy changes by {alone_stronger.interval:+.1f} percentage points without Dropout, and
    beside Dropout(0.5) by {beside_stronger.interval:+.1f}."""
    alone = gain(trained, "l2_10", against="l2_3")
    beside = gain(trained, "dropout_l2_10", against="dropout_l2_3")
    claim.trained("alone_stronger", alone, above=-1)
    claim.trained("beside_stronger", beside, below=0)
    claim.trained("stronger_interaction", beside - alone, below=0)


def test_with_dropout_the_best_epoch_comes_later(claim, trained):
    """Without Dropout the validation loss is lowest in epoch {best_without.interval:.0f} of 40, with Dropout(0.5) in epoch
    {best_with.interval:.0f}."""
    claim.trained("best_without", trained["best"]["none"], above=1, below=40)
    claim.trained("best_with", trained["best"]["dropout"], above=1)
    claim.trained("best_with_both", trained["best"]["dropout_augmented"], above=1)
    claim.trained("later", trained["best"]["dropout"] - trained["best"]["none"], above=0)


def test_stopping_on_the_training_loss_comes_too_late(claim, program):
    """The wrong twin: with half of the labels random, early stopping that watches `loss` runs for more epochs than one that
    watches `val_loss`, and ends with a lower accuracy on validation data."""
    fit = program("with_other_regularisers_wrong")
    claim.exact("later_stop", fit["late"] > fit["early"], True)
    claim.exact("lower_accuracy", fit["wrong"]["accuracy"] < fit["right"]["accuracy"], True)
