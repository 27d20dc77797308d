"""How do I change the dropout rate of a model that exists?"""

import keras
import numpy as np
import pytest
from change_the_rate import RateSchedule, dropouts, network, zeros
from change_the_rate_copy import with_rate
from change_the_rate_variable import VariableDropout

numpy = keras.ops.convert_to_numpy


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="module")
def x():
    return np.ones((1000, 100), "float32")


def fitted(model, x, **arguments):
    """The share of zeros in each epoch of `fit`."""
    return model.fit(x, x, verbose=0, **arguments).history["zeros"]


def dropped(claim, x, name, value, rate):
    claim.sampled(name, value, rate, (rate * (1 - rate) / x.size) ** 0.5, x.size)


def test_a_call_looks_at_the_rate(claim, x):
    """Called directly, a layer takes a new rate at once: `layer.rate = 0.9` drops a share of {at_once:.2f}."""
    layer = keras.layers.Dropout(0.5)
    layer(x, training=True)
    layer.rate = 0.9
    claim.share("at_once", numpy(layer(x, training=True)) == 0, 0.9)


@pytest.mark.only("tensorflow", "jax", why="PyTorch compiles nothing and looks at the rate in every step")
def test_after_the_first_step_the_rate_is_built_in(claim, x):
    """After the first step of `fit`, setting the rate from 0.1 to 0.9 changes nothing: a share of {before:.2f} before and
    {after:.2f} after."""
    model = network(0.1)
    dropped(claim, x, "before", fitted(model, x)[0], 0.1)
    model.layers[-1].rate = 0.9
    dropped(claim, x, "after", fitted(model, x)[0], 0.1)


@pytest.mark.only("tensorflow", why="Keras 2 runs on TensorFlow alone")
def test_in_keras_2_it_is_built_in_as_well(claim, x):
    """In Keras 2 the rate is built in as well: set from 0.1 to 0.9 after the first step, a share of {keras2_before:.2f}
    drops before and {keras2_after:.2f} after, and {keras2_compiled:.2f} once `compile` was called again."""
    import tf_keras

    tf_keras.utils.set_random_seed(0)
    dense, drop = tf_keras.layers.Dense(100, kernel_initializer="identity"), tf_keras.layers.Dropout(0.1)
    model = tf_keras.Sequential([tf_keras.Input((100,)), dense, drop])
    model.compile(tf_keras.optimizers.SGD(0.0), "mse", metrics=[zeros])
    dropped(claim, x, "keras2_before", fitted(model, x)[0], 0.1)
    drop.rate = 0.9
    dropped(claim, x, "keras2_after", fitted(model, x)[0], 0.1)
    model.compile(tf_keras.optimizers.SGD(0.0), "mse", metrics=[zeros])
    dropped(claim, x, "keras2_compiled", fitted(model, x)[0], 0.9)


def test_before_the_first_step_it_is_not(claim, x):
    """Between `compile` and the first step the rate can still be set: 0.9 instead of 0.1 drops a share of {early:.2f}."""
    model = network(0.1)
    model.layers[-1].rate = 0.9
    dropped(claim, x, "early", fitted(model, x)[0], 0.9)


@pytest.mark.parametrize("way", ["compile", "make_train_function"])
def test_a_new_training_function_takes_it(claim, x, way):
    """After `compile`, or `make_train_function(force=True)`, the new rate of 0.9 acts: shares of {compile:.2f} and
    {make_train_function:.2f}. With the optimizer that the model has, `compile` goes on counting its steps."""
    model = network(0.1)
    fitted(model, x)
    model.layers[-1].rate = 0.9
    if way == "compile":
        model.compile(model.optimizer, "mse", metrics=[zeros])
    else:
        model.make_train_function(force=True)
    dropped(claim, x, way, fitted(model, x)[0], 0.9)
    claim.exact(f"steps_{way}", int(model.optimizer.iterations), 64)


def test_a_new_optimizer_begins_anew(claim, x):
    """`compile` with the optimizer's name makes a new one, which counts {steps} steps and has forgotten its averages."""
    model = network(0.1)
    fitted(model, x)
    model.compile("adam", "mse")
    claim.exact("steps", int(model.optimizer.iterations), 0)


def test_the_schedule_acts_from_epoch_to_epoch(claim, x):
    """`RateSchedule` drops shares of {epoch_0:.2f}, {epoch_1:.2f} and {epoch_2:.2f} in three epochs, as it was told."""
    shares = fitted(network(0.1), x, epochs=3, callbacks=[RateSchedule(lambda epoch: 0.1 + 0.2 * epoch)])
    for epoch, share in enumerate(shares):
        dropped(claim, x, f"epoch_{epoch}", share, 0.1 + 0.2 * epoch)


def test_a_variable_rate_acts_from_epoch_to_epoch(claim, x):
    """`VariableDropout` starts at a rate of 0 and drops shares of {variable_1:.2f} and {variable_2:.2f} in the second and
    third epoch, without a new training function."""
    layer = VariableDropout(0.0)
    dense = keras.layers.Dense(100, kernel_initializer="identity")
    model = keras.Sequential([keras.Input((100,)), dense, layer])
    model.compile(keras.optimizers.SGD(0.0), "mse", metrics=[zeros])
    assign = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: layer.rate.assign(0.3 * epoch))
    shares = fitted(model, x, epochs=3, callbacks=[assign])
    claim.exact("variable_0", shares[0], 0.0)
    for epoch in (1, 2):
        dropped(claim, x, f"variable_{epoch}", shares[epoch], 0.3 * epoch)


def test_a_variable_rate_scales_and_switches_as_dropout_does(claim, x):
    """`VariableDropout(0.2)` multiplies what it keeps by {scale:.2f}, and does nothing at inference."""
    layer = VariableDropout(0.2)
    claim.close("scale", numpy(layer(x, training=True)).max(), 1.25, 1e-6)
    claim.exact("inference", np.array_equal(numpy(layer(x)), x), True)


def test_a_loaded_model_can_still_be_changed(claim, x, tmp_path):
    """A saved model keeps the rate that was set, {saved:.1f}; after loading and before its first step it can be set again: a
    share of {loaded:.2f} at 0.8."""
    model = network(0.1)
    model.layers[-1].rate = 0.3
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", custom_objects={"zeros": zeros})
    claim.close("saved", loaded.layers[-1].rate, 0.3, 0)
    loaded.layers[-1].rate = 0.8
    dropped(claim, x, "loaded", fitted(loaded, x)[0], 0.8)


def test_a_rate_of_zero_cannot_be_raised(claim, x):
    """`Dropout(0.0)` with a rate set later fails in training with an {error}: it was made without a `seed_generator`. In
    Keras 3.15 none can be added to a layer that is built: a {added}."""
    layer = keras.layers.Dropout(0.0)
    layer(x)
    layer.rate = 0.5
    with pytest.raises(AttributeError, match="seed_generator") as error:
        layer(x, training=True)
    claim.exact("error", error.type.__name__, "AttributeError")
    with pytest.raises(ValueError, match="cannot add new elements of state") as error:
        layer.seed_generator = keras.random.SeedGenerator(1)
    claim.exact("added", error.type.__name__, "ValueError")


def nested():
    inner = keras.Sequential([keras.Input((100,)), keras.layers.Dropout(0.0), keras.layers.Dense(100)])
    inputs = keras.Input((100,))
    branch = keras.layers.SpatialDropout1D(0.2)(keras.layers.Reshape((10, 10))(inner(inputs)))
    return keras.Model(inputs, keras.layers.add([keras.layers.Flatten()(branch), inputs]))


class Block(keras.layers.Layer):
    """A layer of one's own that holds a Dropout."""

    def __init__(self, rate, **options):
        super().__init__(**options)
        self.drop = keras.layers.Dropout(rate)

    def call(self, x, training=None):
        return self.drop(x, training=training)

    def get_config(self):
        return super().get_config() | {"rate": self.drop.rate}


def test_the_callback_reaches_layers_within_layers(claim, x):
    """`dropouts`, by which `RateSchedule` finds its layers, also finds one inside a layer of your own and one inside
    `TimeDistributed`, {found} in all, which are not in `model.layers`. `with_rate` does not, and leaves {left} as they are."""
    parts = [Block(0.1), keras.layers.Reshape((10, 10)), keras.layers.TimeDistributed(keras.layers.Dropout(0.1))]
    model = keras.Sequential([keras.Input((100,)), *parts])
    claim.exact("found", len(dropouts(model)), 2)
    claim.exact("in_layers", sum(isinstance(layer, keras.layers.Dropout) for layer in model.layers), 0)
    claim.exact("left", sum(layer.rate == 0.1 for layer in dropouts(with_rate(model, 0.5))), 2)


def test_a_copy_takes_any_rate(claim, x):
    """`with_rate` copies a model with a branch, a nested model and a Dropout of rate 0: all {layers} layers get the new rate,
    and the predictions stay."""
    model = nested()
    copy = with_rate(model, 0.5)
    claim.exact("rates", [layer.rate for layer in dropouts(copy)], [0.5, 0.5])
    claim.exact("layers", len(list(dropouts(copy))), 2)
    difference = np.abs(model.predict(x, verbose=0) - copy.predict(x, verbose=0)).max()
    claim.close("difference", difference, 0, 1e-5)


def test_a_copy_can_do_without(claim, x):
    """`with_rate(model, None)` leaves {left} Dropout layers, and training calls that agree with inference."""
    copy = with_rate(nested(), None)
    claim.exact("left", len(list(dropouts(copy))), 0)
    claim.close("training_is_inference", np.abs(numpy(copy(x, training=True)) - numpy(copy(x))).max(), 0, 1e-5)


def test_a_rate_of_zero_is_as_good_as_none(claim, x):
    """With its rate set to 0 before the first step, a model trains as without its Dropout: it drops {none} values."""
    model = network(0.5)
    model.layers[-1].rate = 0
    claim.exact("none", fitted(model, x)[0], 0.0)


def test_the_list_of_layers_is_a_copy(claim, x):
    """`model.layers.pop()` changes nothing: the model still has {layers_left} layers and drops. `pop()` of a Sequential model
    itself takes the layer out: {sequential_left} is left."""
    inputs = keras.Input((100,))
    model = keras.Model(inputs, keras.layers.Dropout(0.5)(inputs))
    model.layers.pop()
    claim.exact("layers_left", len(model.layers), 2)
    claim.share("popped", numpy(model(x, training=True)) == 0, 0.5)
    sequential = network(0.5)
    sequential.pop()
    claim.exact("sequential_left", len(sequential.layers), 1)
    claim.exact("sequential_drops", int(np.sum(numpy(sequential(x, training=True)) == 0)), 0)


@pytest.mark.parametrize("kind", ["MultiHeadAttention", "LSTM"])
def test_an_argument_is_read_once(claim, kind):
    """`dropout` of a MultiHeadAttention or an LSTM cannot be set at all: “{MultiHeadAttention}”"""
    build = {"MultiHeadAttention": lambda: keras.layers.MultiHeadAttention(2, 4, dropout=0.5)}
    layer = build.get(kind, lambda: keras.layers.LSTM(4, dropout=0.5))()
    with pytest.raises(AttributeError) as error:
        layer.dropout = 0.1
    claim.exact(kind, str(error.value), f"property 'dropout' of '{kind}' object has no setter")


@pytest.mark.only("tensorflow", "jax", why="PyTorch compiles nothing and looks at the rate in every step")
def test_a_callback_that_sets_the_rate_does_nothing(claim, x):
    """A callback that sets the rate to 0.1, 0.3 and 0.5 changes nothing in the third epoch: a share of {third:.2f}."""

    class SetRate(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.layers[-1].rate = 0.1 + 0.2 * epoch

    dropped(claim, x, "third", fitted(network(0.1), x, epochs=3, callbacks=[SetRate()])[2], 0.1)


def test_the_mistakes_do_not_reach_the_model(claim, program):
    """The wrong twin: a rate of 0 that was raised is an error in training, and a layer popped from the list still drops."""
    twin = program("change_the_rate_wrong")
    claim.exact("raised", twin["layer"].rate, 0.5)
    claim.exact("twin_layers", len(twin["model"].layers), 2)
    claim.exact("twin_drops", bool(twin["zeros"].any()), True)
