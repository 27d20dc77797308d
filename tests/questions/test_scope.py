"""Does a Dropout layer act only on the layer before it, or on all hidden layers?"""

import keras
import numpy as np
import pytest
from scope import network

numpy = keras.ops.convert_to_numpy


def outputs(model, images, training):
    """The output of every layer of a model, as arrays."""
    probe = keras.Model(model.inputs[0], [layer.output for layer in model.layers])
    return {layer.name: numpy(out) for layer, out in zip(model.layers, probe(images, training=training), strict=True)}


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((1000, 28, 28), dtype="float32")


@pytest.fixture(scope="module")
def off_and_on(images):
    keras.utils.set_random_seed(0)
    model = network()
    return model, outputs(model, images, training=False), outputs(model, images, training=True)


def test_the_layers_before_it_do_not_change(claim, off_and_on):
    """The layers in front of a Dropout layer put out exactly what they put out without it."""
    _, off, on = off_and_on
    for name in ("flatten", "dense_128"):
        claim.exact(f"largest_change_in_{name}", np.abs(on[name] - off[name]).max(), 0.0)


def test_it_masks_its_own_input_and_scales_the_rest(claim, off_and_on):
    """`Dropout(0.5)` behind `Dense(128)` zeroes a share of {share:.3f} of those outputs and doubles the others."""
    _, off, on = off_and_on
    active = off["dense_128"] > 0  # a ReLU unit at zero stays there, dropped or not
    dropped = on["dropout"][active] == 0
    claim.share("share", dropped, 0.5)
    scale = on["dropout"][active][~dropped] / off["dense_128"][active][~dropped]
    claim.close("scale", np.abs(scale - 2).max() + 2, 2, 1e-6)


def test_the_layers_after_it_keep_all_their_units(claim, off_and_on):
    """The layers behind it see the masked values, and compute their own function of them with all their units."""
    model, off, on = off_and_on
    for name, source in (("dense_64", "dropout"), ("dense_10", "dense_64")):
        again = numpy(model.get_layer(name)(on[source]))
        claim.close(f"largest_difference_in_{name}", np.abs(again - on[name]).max(), 0, 1e-5)
    claim.exact("dense_64_changed", not np.array_equal(off["dense_64"], on["dense_64"]), True)


def test_no_output_of_the_softmax_is_removed(claim, off_and_on):
    """No class is ever removed: in training the softmax still gives {classes} probabilities above zero."""
    _, _, on = off_and_on
    probabilities = on["dense_10"]
    claim.exact("classes", int((probabilities > 0).sum(axis=1).min()), 10)
    claim.close("sum", probabilities.sum(axis=1).mean(), 1, 1e-5)


def test_between_two_layers_it_drops_units_of_the_first(claim):
    """Between two Dense layers it drops outputs of the first: for one example, a dropped unit's weights, those that
    lead to it and those that leave it, do not move in a step of plain SGD, and the others do."""
    keras.utils.set_random_seed(0)
    # no ReLU, so that a unit is at zero only when it is dropped
    model = keras.Sequential(
        [
            keras.Input((20,)),
            keras.layers.Dense(128, name="first"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(64, name="second"),
        ]
    )
    model.compile(keras.optimizers.SGD(0.1), "mse")
    before = [numpy(w).copy() for w in (model.get_layer("first").kernel, model.get_layer("second").kernel)]
    one = np.random.default_rng(0).normal(size=(1, 20)).astype("float32")
    model.train_on_batch(one, np.ones((1, 64), "float32"))
    after = [numpy(w) for w in (model.get_layer("first").kernel, model.get_layer("second").kernel)]
    still_in = (before[0] == after[0]).all(axis=0)  # columns: the weights that lead to each of the 128
    still_out = (before[1] == after[1]).all(axis=1)  # rows: the weights that leave each of the 128
    claim.exact("same_units", np.array_equal(still_in, still_out), True)
    claim.share("share_of_units_that_did_not_move", still_in, 0.5)
    claim.exact("units_of_the_second_that_did_not_move", int((before[1] == after[1]).all(axis=0).sum()), 0)


def test_inside_a_nested_model_it_is_switched_by_the_outer_one(claim, images):
    """Inside a nested model it acts as outside: off at inference, and in training on its own input only."""
    keras.utils.set_random_seed(0)
    inner = network()
    outer = keras.Sequential([keras.Input((28, 28)), inner, keras.layers.Dense(3, name="head")])
    probe = keras.Model(inner.inputs[0], [inner.get_layer("dense_128").output, inner.get_layer("dropout").output])
    before, masked = (numpy(t) for t in probe(images, training=True))
    claim.share("share_nested", masked[before > 0] == 0, 0.5)
    calls = [numpy(outer(images, training=training)) for training in (False, False, True)]
    claim.exact("inference_calls_agree", np.array_equal(calls[0], calls[1]), True)
    claim.exact("training_call_differs", not np.array_equal(calls[1], calls[2]), True)


def test_freezing_does_not_switch_it_off(claim, images):
    """`trainable = False`, on the layer or on the whole model, does not switch it off: it still drops half."""
    keras.utils.set_random_seed(0)
    model = network()
    model.trainable = False
    on, off = outputs(model, images, training=True), outputs(model, images, training=False)
    claim.share("share_frozen", on["dropout"][off["dropout"] > 0] == 0, 0.5)


def test_it_has_no_weights(claim):
    """It has no weights: the model has {parameters:,} parameters with it and without it."""
    with_dropout = network()
    layers = [layer for layer in with_dropout.layers if layer.name != "dropout"]
    without = keras.Sequential([keras.Input((28, 28)), *layers])
    claim.exact("parameters", with_dropout.count_params(), 109_386)
    claim.exact("parameters_without", without.count_params(), 109_386)
    claim.exact("weights_of_the_dropout", len(with_dropout.get_layer("dropout").weights), 0)


def test_one_dropout_before_the_output_leaves_the_128_untouched(claim, program):
    """The wrong twin: one Dropout in front of the output layer never touches the first hidden layer's 128 units."""
    twin = program("scope_wrong")
    off, on = [numpy(t) for t in twin["off"]], [numpy(t) for t in twin["on"]]
    claim.exact("largest_change_in_the_128", np.abs(on[1] - off[1]).max(), 0.0)
    claim.share("share_of_the_64", on[3][off[2] > 0] == 0, 0.5)
