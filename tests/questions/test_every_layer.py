"""Do I need a second Dropout after Dense(128), if I want it throughout my model?"""

import keras
import numpy as np
import pytest
from every_layer import add_dropout
from fair_comparison import dense, digits, evaluate

numpy = keras.ops.convert_to_numpy
REPLICAS = 32


def sequential():
    return keras.Sequential(
        [
            keras.Input((28, 28)),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )


def two_branches():
    x = keras.Input((28, 28))
    flat = keras.layers.Flatten()(x)
    left = keras.layers.Dense(128, activation="relu")(flat)
    right = keras.layers.Dense(128, activation="tanh")(flat)
    both = keras.layers.Dense(64, activation="relu")(keras.layers.Concatenate()([left, right]))
    return keras.Model(x, keras.layers.Dense(10, activation="softmax")(both))


def thread_model(first, second):
    """The thread's network for all replicas, with the rates of its two Dropout layers."""
    return [
        dense(REPLICAS, 128, "relu"),
        keras.layers.Dropout(first),
        dense(REPLICAS, 64, "relu"),
        keras.layers.Dropout(second),
        dense(REPLICAS, 10),
    ]


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((200, 28, 28), dtype="float32")


@pytest.fixture(scope="module")
def clean():
    """(accuracy, loss) of each arm on 200 clean digits."""
    data = digits(200, REPLICAS)
    arms = {"none": (0, 0), "one": (0.5, 0), "every": (0.5, 0.5)}
    return {name: evaluate(lambda r=rates: thread_model(*r), data, epochs=100) for name, rates in arms.items()}


@pytest.fixture(scope="module")
def noisy():
    """(accuracy, loss) of each arm on 500 digits, 30 % of whose labels are random."""
    data = digits(500, REPLICAS, noise=0.3)
    arms = {"none": (0, 0), "one": (0.5, 0), "every": (0.5, 0.5)}
    return {name: evaluate(lambda r=rates: thread_model(*r), data, epochs=50) for name, rates in arms.items()}


@pytest.mark.parametrize("build", [sequential, two_branches])
def test_predictions_stay_exactly_the_same(claim, images, build):
    """`add_dropout` changes no prediction, to the last bit, of a Sequential model and of one with two branches."""
    keras.utils.set_random_seed(0)
    model = build()
    after = add_dropout(model, 0.2)
    same = np.array_equal(model.predict(images, verbose=0), after.predict(images, verbose=0))
    claim.exact(f"same_predictions_{build.__name__}", same, True)
    claim.exact(f"more_parameters_{build.__name__}", after.count_params() - model.count_params(), 0)


def test_each_hidden_layer_is_masked_and_the_output_is_not(claim, images):
    """In training, `add_dropout(model, 0.2)` masks both hidden layers, each with a mask of its own, and no output."""
    keras.utils.set_random_seed(0)
    model = add_dropout(sequential(), 0.2)
    drops = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    claim.exact("dropout_layers", len(drops), 2)
    probe = keras.Model(model.inputs, [tensor for d in drops for tensor in (d.input, d.output)] + model.outputs)
    first_in, first_out, second_in, second_out, output = (numpy(t) for t in probe(images, training=True))
    claim.share("share_of_the_128", first_out[first_in > 0] == 0, 0.2)
    claim.share("share_of_the_64", second_out[second_in > 0] == 0, 0.2)
    claim.exact("outputs_at_zero", int((output == 0).sum()), 0)


def test_on_clean_digits_neither_changes_accuracy_much(claim, clean):
    """On 200 clean digits the second Dropout does not pay: against none, one changes accuracy by
    {one.interval:+.2f} percentage points and two by {every.interval:+.2f}, over {one.n} paired replicas; two against one,
    by {second.interval:+.2f}."""
    accuracy = {name: result[0] for name, result in clean.items()}
    claim.trained("one", accuracy["one"] - accuracy["none"], above=-1, below=1)
    claim.trained("every", accuracy["every"] - accuracy["none"], above=-1, below=1)
    claim.trained("second", accuracy["every"] - accuracy["one"], above=-1, below=1)


def test_on_clean_digits_one_dropout_lowers_the_loss(claim, clean):
    """On the same digits one Dropout(0.5) lowers the test loss: from {loss_without:.3f} it changes by {one_loss.interval:+.3f}."""
    claim.trained("one_loss", clean["one"][1] - clean["none"][1], below=0)
    claim.trained("loss_without", clean["none"][1], above=0)


def test_with_wrong_labels_both_layers_pay(claim, noisy):
    """With 500 digits and 30 % random labels, one Dropout gains {one_noisy.interval:+.1f} percentage points, and the
    second adds {second_noisy.interval:+.1f}, over {one_noisy.n} paired replicas."""
    accuracy = {name: result[0] for name, result in noisy.items()}
    claim.trained("one_noisy", accuracy["one"] - accuracy["none"], above=0)
    claim.trained("second_noisy", accuracy["every"] - accuracy["one"], above=0)
    claim.trained("none_noisy_level", accuracy["none"], above=50)
    claim.trained("every_noisy_level", accuracy["every"], above=50)


def test_the_size_of_the_second_gain_depends_on_the_draw(claim, noisy):
    """The second gain is above zero with other weights and masks too, {second_again.interval:+.1f} percentage points over
    the same {second_again.n} splits. Between the two draws it moves by {moves.interval:+.1f}."""
    data, arms = digits(500, REPLICAS, noise=0.3), {"one": (0.5, 0), "every": (0.5, 0.5)}
    again = {n: evaluate(lambda r=rates: thread_model(*r), data, epochs=50, seed=1)[0] for n, rates in arms.items()}
    gain, first = again["every"] - again["one"], noisy["every"][0] - noisy["one"][0]
    claim.trained("second_again", gain, above=0)
    claim.trained("moves", gain - first, above=-2, below=2)


def test_dropout_behind_the_softmax_erases_the_true_class(claim, program):
    """The wrong twin: Dropout behind the softmax erases the true class in a share of {erased:.2f} of the examples, each
    of which then costs a loss above 10, unless all ten classes are erased."""
    twin = program("every_layer_wrong")
    erased = twin["true_class"] == 0
    claim.share("erased", erased, 0.5)
    some_left = twin["output"].sum(axis=1) > 0
    claim.exact("erased_ones_below_10", int((twin["loss"][erased & some_left] < 10).sum()), 0)
    claim.exact("others_above_10", int((twin["loss"][~erased] > 10).sum()), 0)
