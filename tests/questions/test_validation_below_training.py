"""Why is validation loss below training loss with Dropout?"""

import itertools

import keras
import numpy as np
import pytest
from fair_comparison import at_once, dense, digits
from sklearn.datasets import load_digits
from validation_below_training import Gap

numpy, layers = keras.ops.convert_to_numpy, keras.layers
REPLICAS, EPOCHS = 6, 10
CROSS_ENTROPY = "sparse_categorical_crossentropy"


def losses(y, logits):
    """The loss of each example of each replica."""
    return numpy(keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True))


def of_replica(i):
    """A metric that lets `fit` and `evaluate` themselves report the loss of one replica."""

    def metric(y, logits):
        return keras.losses.sparse_categorical_crossentropy(y[:, i], logits[:, i], from_logits=True)

    metric.__name__ = f"loss_{i}"
    return metric


def each(logs, epoch=-1, prefix=""):
    """What `fit` reported for each replica after an epoch."""
    return np.array([logs[f"{prefix}loss_{i}"][epoch] for i in range(REPLICAS)])


class Middle(keras.callbacks.Callback):
    """The loss on the training data, in inference, in the middle and at the end of chosen epochs; there also in training."""

    def __init__(self, x, y, epochs, calls=20):
        super().__init__()
        self.x, self.y, self.epochs, self.calls = x, y, epochs, calls
        self.middle, self.off, self.on = {}, {}, {}

    def on_epoch_begin(self, epoch, logs=None):
        self.wanted = epoch + 1 if epoch + 1 in self.epochs else None

    def on_train_batch_end(self, batch, logs=None):
        if self.wanted and batch == 7:  # 8 of 16 batches
            self.middle[self.wanted] = losses(self.y, self.model(self.x, training=False)).mean(0)

    def on_epoch_end(self, epoch, logs=None):
        if self.wanted:
            calls = [losses(self.y, self.model(self.x, training=True)).mean(0) for _ in range(self.calls)]
            self.on[self.wanted] = np.mean(calls, axis=0)
            self.off[self.wanted] = losses(self.y, self.model(self.x, training=False)).mean(0)


def train(data, rate, epochs=EPOCHS, watched=(1, EPOCHS)):
    """Train replicas of the network: the model, what `fit` reported, and what was measured beside it."""
    x, y, x_val, y_val = data
    keras.utils.set_random_seed(0)
    keras.random.uniform(())  # fixes the seed of the weights before a Dropout takes one
    hidden = [dense(REPLICAS, 128, "relu"), dense(REPLICAS, 64, "relu")]
    drop = [layers.Dropout(rate), layers.Dropout(rate)]
    body = [hidden[0], drop[0], hidden[1], drop[1], dense(REPLICAS, 10)]
    model = keras.Sequential([keras.Input(x.shape[1:]), *body])
    compile_(model, "adam")
    beside = Middle(x, y, watched)
    logs = model.fit(
        x, y, batch_size=32, epochs=epochs, validation_data=(x_val, y_val), callbacks=[beside], verbose=0
    ).history
    return model, logs, beside


def compile_(model, optimizer):
    model.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        loss_weights=float(REPLICAS),
        metrics=[of_replica(i) for i in range(REPLICAS)],
        steps_per_execution=at_once(8),
    )


@pytest.fixture(scope="module")
def data():
    return digits(500, REPLICAS)


@pytest.fixture(scope="module")
def runs(data):
    return {rate: train(data, rate) for rate in (0, 0.5)}


def parts(runs, rate, epoch):
    """The gap after an epoch and its three parts, for each replica."""
    _, logs, beside = runs[rate]
    fit, validation = each(logs, epoch - 1), each(logs, epoch - 1, "val_")
    on, off = beside.on[epoch], beside.off[epoch]
    return {"gap": fit - validation, "earlier": fit - on, "mode": on - off, "data": off - validation}


def test_with_dropout_validation_stays_below(claim, runs):
    """With 0.5 behind both hidden layers, `loss` is above `val_loss` by {gap_5_1.interval:+.2f} after one epoch on 500
    digits and by {gap_5_10.interval:+.2f} after ten, over {gap_5_10.n} replicas."""
    for epoch in (1, 10):
        claim.trained(f"gap_5_{epoch}", parts(runs, 0.5, epoch)["gap"], above=0)


def test_dropout_is_most_of_the_difference(claim, runs):
    """After ten epochs with 0.5, of the {gap.interval:+.2f} by which `loss` is above `val_loss`, dropout itself makes
    {mode_5_10.interval:+.2f}, the earlier weights {earlier_5_10.interval:+.2f}, and the other data
    {data_5_10.interval:+.3f}."""
    now = parts(runs, 0.5, 10)
    claim.trained("gap", now["gap"], above=0.2)
    claim.trained("mode_5_10", now["mode"], above=0.2)
    claim.trained("earlier_5_10", now["earlier"], above=-0.05, below=0.15)
    claim.trained("data_5_10", now["data"], below=0)


def test_in_the_first_epoch_it_happens_without_dropout(claim, runs):
    """Without any dropout, `loss` is above `val_loss` by {gap_0_1.interval:+.2f} after the first epoch, because of the
    earlier weights: they make {earlier_0_1.interval:+.2f}, and the other data {data_0_1.interval:+.3f}."""
    now = parts(runs, 0, 1)
    claim.trained("gap_0_1", now["gap"], above=0.1)
    claim.trained("earlier_0_1", now["earlier"], above=0.1)
    claim.close("mode_0_1", np.abs(now["mode"]).max(), 0, 1e-4)
    claim.trained("data_0_1", now["data"], below=0)


def test_without_dropout_it_turns(claim, runs):
    """Without dropout it turns: after ten epochs `loss` is {gap_0_10.interval:+.3f} against `val_loss`; the earlier weights
    make {earlier_0_10.interval:+.3f} and the other data {data_0_10.interval:+.3f}."""
    now = parts(runs, 0, 10)
    claim.trained("gap_0_10", now["gap"], below=0)
    claim.trained("earlier_0_10", now["earlier"], above=0)
    claim.trained("data_0_10", now["data"], below=0)


def test_with_dropout_the_first_epoch_has_both(claim, runs):
    """In the first epoch with 0.5, earlier weights make {earlier_5_1.interval:+.2f} and dropout
    {mode_5_1.interval:+.2f}; the other data, {data_5_1.interval:+.3f}, hardly anything."""
    now = parts(runs, 0.5, 1)
    claim.trained("earlier_5_1", now["earlier"], above=0)
    claim.trained("mode_5_1", now["mode"], above=0)
    claim.trained("data_5_1", now["data"], above=-0.05, below=0.05)


def test_it_overfits_all_the_same(claim, runs):
    """With 0.5, after ten epochs, `val_loss` is below `loss`, and still above the training loss that `evaluate` gives, by
    {overfit.interval:.3f}."""
    now = parts(runs, 0.5, 10)
    claim.trained("overfit", -now["data"], above=0)
    claim.trained("still_below", now["gap"], above=0)


def test_it_is_the_loss_of_half_an_epoch_ago(claim, runs):
    """Without dropout, the first epoch's `loss` is {to_the_end.interval:+.2f} against `evaluate` at the epoch's end, and
    {to_the_middle.interval:+.3f} against `evaluate` in its middle."""
    _, logs, beside = runs[0]
    claim.trained("to_the_end", each(logs, 0) - beside.off[1], above=0.1)
    claim.trained("to_the_middle", each(logs, 0) - beside.middle[1], above=-0.1, below=0.1)


def test_with_frozen_weights_dropout_alone_is_left(claim, runs, data):
    """On the same data, with a learning rate of zero, `fit` reports {frozen_5.interval:+.2f} against `evaluate` with
    0.5, and the same as `evaluate` without dropout."""
    x, y = data[:2]
    for rate in (0, 0.5):
        model = runs[rate][0]
        compile_(model, keras.optimizers.SGD(0.0))
        fit = each(model.fit(x, y, batch_size=32, verbose=0).history)
        again = model.evaluate(x, y, batch_size=32, verbose=0, return_dict=True)
        difference = fit - [again[f"loss_{i}"] for i in range(REPLICAS)]
        if rate:
            claim.trained("frozen_5", difference, above=0.2)
        else:
            claim.close("frozen_0", np.abs(difference).max(), 0, 1e-4)


def test_cleaner_labels_in_validation(claim):
    """With 30 % random labels in training and right ones in validation, and no dropout, `loss` is above `val_loss` by
    {clean_gap.interval:+.2f} after ten epochs, and most of it is other data: {clean_data.interval:+.2f}."""
    run = {0: train(digits(500, REPLICAS, noise=0.3), 0, watched=(10,))}
    now = parts(run, 0, 10)
    claim.trained("clean_gap", now["gap"], above=0.2)
    claim.trained("clean_data", now["data"], above=0.2)


def test_a_small_validation_set_is_luck(claim, runs, data):
    """For one trained network with 0.5, `val_loss` has a standard deviation of {of_30.interval:.3f} between validation sets
    of 30 digits and of {of_300.interval:.3f} between sets of 300; of those of 30, {lucky.interval:.0f} in 100 lie below
    the training loss that `evaluate` gives."""
    model, _, beside = runs[0.5]
    validation, rng = losses(data[3], model(data[2])), np.random.default_rng(0)
    sets = {n: validation[rng.integers(0, len(validation), (1000, n))].mean(1) for n in (30, 300)}
    claim.trained("of_30", sets[30].std(0), above=0)
    claim.trained("of_300", sets[300].std(0), above=0)
    claim.trained("ratio", sets[30].std(0) / sets[300].std(0), above=2.5, below=4)
    claim.trained("lucky", 100 * (sets[30] < beside.off[10]).mean(0), above=5)


# ------------------------------------------------------------------------------- other causes, one network each


@pytest.fixture(scope="module")
def some():
    x, y = load_digits(return_X_y=True)
    return (x[:500] / 16).astype("float32"), y[:500]


def network(*front, behind=(), **arguments):
    hidden = layers.Dense(64, activation="relu", **arguments)
    return keras.Sequential(
        [keras.Input((64,)), *front, hidden, *behind, layers.Dense(10, activation="softmax", **arguments)]
    )


def frozen(model, some, loss=CROSS_ENTROPY, epochs=1, **arguments):
    """Train a little, then freeze: what `fit` and `evaluate` report on the same data with the same weights."""
    plain = CROSS_ENTROPY if loss == CROSS_ENTROPY else "categorical_crossentropy"
    model.compile("adam", loss, metrics=["accuracy", plain])
    model.fit(*some, epochs=epochs, verbose=0)
    model.optimizer.learning_rate = 0.0
    fit = model.fit(*some, verbose=0, **arguments).history
    again = model.evaluate(*some, verbose=0, return_dict=True)
    return {name: values[-1] for name, values in fit.items()}, again


def test_a_penalty_is_in_both(claim, some):
    """A weight penalty, such as `kernel_regularizer`, is in `loss` and in `val_loss`: with frozen weights `fit` and
    `evaluate` report the same, which is the cross-entropy and the penalty."""
    keras.utils.set_random_seed(0)
    model = network(kernel_regularizer=keras.regularizers.L2(0.01))
    fit, again = frozen(model, some)
    penalty = float(numpy(sum(model.losses)))
    claim.exact("there_is_a_penalty", penalty > 0.1, True)
    claim.close("difference", fit["loss"] - again["loss"], 0, 1e-4)
    claim.close("in_fit", fit["loss"] - fit[CROSS_ENTROPY] - penalty, 0, 1e-4)
    claim.close("in_evaluate", again["loss"] - again[CROSS_ENTROPY] - penalty, 0, 1e-4)


def test_label_smoothing_is_in_both(claim, some):
    """Label smoothing belongs to the loss function, so it is in both: with frozen weights `fit` and `evaluate` report the
    same."""
    keras.utils.set_random_seed(0)
    x, y = some
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.2)
    fit, again = frozen(network(), (x, keras.utils.to_categorical(y, 10)), loss, epochs=5)
    claim.close("smoothed", fit["loss"] - again["loss"], 0, 1e-4)
    claim.exact("it_counts", again["loss"] > again["categorical_crossentropy"] + 0.1, True)


def test_class_weights_are_in_fit_alone(claim, some):
    """Class weights act in `fit` alone, and not in validation: with all of them 2, and frozen weights, `fit` reports
    {twice:.0f} times the loss of `evaluate`, and the program counts the difference among the earlier weights."""
    keras.utils.set_random_seed(0)
    extra = {"class_weight": dict.fromkeys(range(10), 2.0), "validation_data": some, "callbacks": [Gap(*some, calls=1)]}
    fit, again = frozen(network(), some, **extra)
    claim.close("twice", fit["loss"] / again["loss"], 2, 1e-3)
    claim.close("counted", fit["earlier weights"] / again["loss"], 1, 1e-3)


def test_weight_decay_is_in_neither(claim, some):
    """The `weight_decay` of an optimizer is in neither loss: both are the cross-entropy alone."""
    keras.utils.set_random_seed(0)
    model = network()
    model.compile(keras.optimizers.AdamW(weight_decay=0.1), CROSS_ENTROPY, metrics=[CROSS_ENTROPY])
    logs = model.fit(*some, validation_data=some, verbose=0).history
    claim.close("in_loss", logs["loss"][0] - logs[CROSS_ENTROPY][0], 0, 1e-5)
    claim.close("in_val_loss", logs["val_loss"][0] - logs[f"val_{CROSS_ENTROPY}"][0], 0, 1e-5)


def test_augmentation_is_in_fit_alone(claim, some):
    """Augmentation in the model acts in training only: with shifted digits and frozen weights, `fit` reports a higher loss
    than `evaluate` on the same data."""
    keras.utils.set_random_seed(0)
    shift = [layers.Reshape((8, 8, 1)), layers.RandomTranslation(0.15, 0.15), layers.Flatten()]
    fit, again = frozen(network(*shift), some, epochs=5)
    claim.exact("fit_is_higher", fit["loss"] > 1.05 * again["loss"], True)


def test_batch_normalization_can_do_the_opposite(claim, some):
    """BatchNormalization differs between the two as well, and early in training the other way round: after one epoch, with
    frozen weights, `fit` reports a lower loss than `evaluate` on the same data."""
    keras.utils.set_random_seed(0)
    fit, again = frozen(network(behind=[layers.BatchNormalization()]), some)
    claim.exact("fit_is_lower", fit["loss"] < 0.9 * again["loss"], True)


def test_the_same_holds_for_accuracy(claim, some):
    """Accuracy shows it upside down: with 0.5 and frozen weights `fit` reports a lower one than `evaluate` on the same
    data."""
    keras.utils.set_random_seed(0)
    fit, again = frozen(network(behind=[layers.Dropout(0.5)]), some, epochs=5)
    claim.exact("fit_is_lower_in_accuracy", fit["accuracy"] < again["accuracy"], True)


# ------------------------------------------------------------------------------- arithmetic, with every mask


def expected_and_plain(behind, units, x, y, rate=0.5):
    """The loss of each example over all masks of `units`, weighted by their probability, and without dropout."""
    masks = np.array(list(itertools.product((0, 1), repeat=units)))
    kept = masks.sum(1)
    probability = (1 - rate) ** kept * rate ** (units - kept)
    masked = [losses(y, behind((x * mask / (1 - rate)).astype("float32"))) for mask in masks]
    return probability @ np.array(masked), losses(y, behind(x))


def test_in_front_of_the_last_layer_it_can_only_raise_the_loss(claim):
    """In front of the last layer and a softmax, dropout raises the mean loss of each example, for whatever weights: over all
    {masks} masks of 8 units, of 2000 examples with random weights {lower} have a lower one."""
    rng, lower = np.random.default_rng(0), 0
    for _ in range(10):
        output = layers.Dense(5, kernel_initializer=keras.initializers.Constant(rng.normal(size=(8, 5)) * 2))
        x, y = rng.normal(size=(200, 8)).astype("float32"), rng.integers(0, 5, 200)
        expected, plain = expected_and_plain(output, 8, x, y)
        lower += int((expected < plain - 1e-5).sum())
    claim.exact("masks", 2**8, 256)
    claim.exact("lower", lower, 0)


def test_in_front_of_a_hidden_layer_it_need_not(claim):
    """In front of a hidden ReLU layer nothing forbids the opposite: with random weights the mean loss is lower with dropout
    for some of 200 examples and higher for others."""
    rng = np.random.default_rng(0)
    kernels = [keras.initializers.Constant(rng.normal(size=shape)) for shape in ((8, 16), (16, 5))]
    behind = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(16, activation="relu", kernel_initializer=kernels[0]),
            layers.Dense(5, kernel_initializer=kernels[1]),
        ]
    )
    x, y = rng.normal(size=(200, 8)).astype("float32"), rng.integers(0, 5, 200)
    expected, plain = expected_and_plain(behind, 8, x, y)
    claim.exact("lower_for_some", bool((expected < plain - 0.01).sum() > 10), True)
    claim.exact("higher_for_some", bool((expected > plain + 0.01).sum() > 10), True)


# ------------------------------------------------------------------------------- the program


def test_the_parts_add_up_and_leave_the_network_alone(claim, some):
    """The program's three parts add up to `loss - val_loss`, also with a weight penalty, and a network with
    BatchNormalization, given its examples in a fixed order, trains with the callback as it does without it."""
    kernels, logs = [], {}
    for callbacks in ([], [Gap(*some, calls=3)]):
        keras.utils.set_random_seed(0)
        model = network(behind=[layers.BatchNormalization()], kernel_regularizer=keras.regularizers.L2(0.01))
        model.compile("adam", CROSS_ENTROPY)
        logs = model.fit(*some, shuffle=False, epochs=2, validation_data=some, callbacks=callbacks, verbose=0).history
        kernels.append(np.concatenate([w.ravel() for w in model.get_weights()]))
    names = ("earlier weights", "training mode", "other data")
    for epoch in (0, 1):
        total = sum(logs[name][epoch] for name in names)
        claim.close(f"sum_{epoch + 1}", total - logs["loss"][epoch] + logs["val_loss"][epoch], 0, 1e-5)
        claim.close(f"same_data_{epoch + 1}", logs["other data"][epoch], 0, 1e-4)
    claim.close("largest_difference", np.abs(kernels[0] - kernels[1]).max(), 0, 1e-4)


def test_the_program_names_the_part(claim, some):
    """Where one cause acts alone, the program names it: with frozen weights and dropout, all is training mode; with frozen
    weights and a penalty, nothing is left of any part on the same data."""
    for name, model in {
        "dropout": network(behind=[layers.Dropout(0.5)]),
        "penalty": network(kernel_regularizer=keras.regularizers.L2(0.01)),
    }.items():
        keras.utils.set_random_seed(0)
        model.compile(keras.optimizers.SGD(0.0), CROSS_ENTROPY)
        logs = model.fit(*some, validation_data=some, callbacks=[Gap(*some, calls=100)], verbose=0).history
        claim.exact(f"{name}_is_mode", logs["training mode"][0] > 0.02, name == "dropout")
        claim.close(f"{name}_earlier", logs["earlier weights"][0], 0, 0.1 if name == "dropout" else 1e-4)
        claim.close(f"{name}_other_data", logs["other data"][0], 0, 1e-4)


def test_the_usual_reading_misses_overfitting(claim, program):
    """The wrong twin: after 40 epochs on 200 digits with 0.5, `val_loss` is below `loss`, and yet above the training loss
    that `evaluate` gives: there is a gap to unseen data, which `loss` hides."""
    twin = program("validation_below_training_wrong")
    logs = twin["logs"]
    claim.exact("reported_below", logs["val_loss"][-1] < logs["loss"][-1], True)
    claim.exact("overfits", logs["val_loss"][-1] > twin["here"], True)
