"""Does a seed make Dropout drop the same units every time?"""

import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers
from seeds import DrawEachEpoch, EpochDropout, mask

numpy = keras.ops.convert_to_numpy
x = np.random.default_rng(0).normal(size=(100, 8)).astype("float32")
y = x.sum(axis=1, keepdims=True)


class Recorder(layers.Layer):
    """Passes its inputs on, and keeps which of them were zero for the first sample of every training step."""

    def build(self, shape):
        self.step = self.add_weight(shape=(), initializer="zeros", trainable=False)
        self.seen = self.add_weight(shape=(40, shape[-1]), initializer="zeros", trainable=False)

    def call(self, inputs, training=False):
        if training:
            row = keras.ops.one_hot(keras.ops.cast(self.step, "int32"), 40)[:, None]
            self.seen.assign(self.seen + row * keras.ops.cast(inputs[:1] != 0, "float32"))
            self.step.assign(self.step + 1)
        return inputs


def masks_in_fit(dropout, callbacks=()):
    """The mask of the first sample in each step of 4 epochs of 5 steps."""
    keras.utils.set_random_seed(0)
    recorder, ones = Recorder(), np.ones((100, 64), "float32")
    model = keras.Sequential([keras.Input((64,)), dropout, recorder, layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(ones, ones[:, :1], batch_size=20, epochs=4, callbacks=list(callbacks), verbose=0)
    return numpy(recorder.seen)[: int(recorder.step)].reshape(4, 5, 64)


def trained(dropout=layers.Dropout):
    """The weights of a small network after an epoch."""
    model = keras.Sequential([keras.Input((8,)), layers.Dense(32), dropout(0.5), layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(x, y, batch_size=10, verbose=0)
    return model.get_weights()


def orders_in_fit(**arguments):
    """The order in which a seeded `fit` takes 10 examples, one at a time, in each of 4 epochs."""
    keras.utils.set_random_seed(0)
    return orders_of_fit(**arguments)


def orders_of_fit(**arguments):
    recorder, rows = Recorder(), np.eye(10, dtype="float32")
    model = keras.Sequential([keras.Input((10,)), recorder, layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(**({"x": rows, "y": rows[:, :1], "batch_size": 1} | arguments), epochs=4, verbose=0)
    return numpy(recorder.seen).reshape(4, 10, 10).argmax(-1)


def difference(a, b):
    return max(np.abs(v - w).max() for v, w in zip(a, b, strict=True))


def network(rate):
    """A network made under one seed, with a Dropout between its layers, or without."""
    keras.utils.set_random_seed(0)
    made = [keras.Input((8,)), layers.Dense(16)]
    made += [] if rate is None else [layers.Dropout(rate)]
    return keras.Sequential([*made, layers.Dense(1)])


def test_a_seed_fixes_the_sequence_and_not_the_mask(claim):
    """With `seed=1` two calls of one layer agree on a share of {agree:.2f} of the units, as without a seed; a second
    layer with `seed=1` repeats the first layer's masks, call by call."""
    layer, twin = layers.Dropout(0.5, seed=1), layers.Dropout(0.5, seed=1)
    masks = [mask(layer) for _ in range(2)]
    claim.share("agree", masks[0] == masks[1], 0.5)
    claim.exact("repeated", [bool((m == mask(twin)).all()) for m in masks], [True, True])


@pytest.mark.only("torch", why="the other backends draw from the layer's state alone")
def test_unseeded_pytorch_draws_elsewhere(claim):
    """On PyTorch a Dropout without a seed draws from PyTorch's own generator: two training calls take different masks, and leave
    the state of the layer as it was, with a count of {count}."""
    layer = layers.Dropout(0.5)
    masks = [numpy(layer(x, training=True)) for _ in range(2)]
    claim.exact("differ", bool((masks[0] != masks[1]).any()), True)
    claim.exact("count", int(numpy(layer.seed_generator.state)[1]), 0)


def test_the_state_counts_the_calls(claim):
    """The layer keeps its seed and a count, in a variable without gradient: each training call adds one, `predict`
    none."""
    layer = layers.Dropout(0.5, seed=7)
    model = keras.Sequential([keras.Input((8,)), layer])
    states = [numpy(layer.seed_generator.state).tolist()]
    for _ in range(2):
        model(x, training=True)
    states.append(numpy(layer.seed_generator.state).tolist())
    model.predict(x, verbose=0)
    states.append(numpy(layer.seed_generator.state).tolist())
    claim.exact("states", states, [[7, 0], [7, 2], [7, 2]])
    claim.exact("weights_and_variables", [len(model.weights), len(model.variables)], [0, 1])


def test_every_step_and_every_sample_has_its_own_mask(claim):
    """In `fit` every step draws another mask, {masks} different ones in 20 steps, and two samples of one batch agree
    on a share of {samples_agree:.2f} of the units."""
    seen = masks_in_fit(layers.Dropout(0.5, seed=1)).reshape(20, 64)
    claim.exact("masks", len(np.unique(seen, axis=0)), 20)
    drawn = mask(layers.Dropout(0.5))
    claim.share("samples_agree", drawn[0::2] == drawn[1::2], 0.5)


def test_one_mask_for_an_epoch(claim):
    """`EpochDropout` with its callback keeps one mask for all steps of an epoch, and draws another for the next:
    {masks_of_epochs} masks in 4 epochs of 5 steps."""
    seen = masks_in_fit(EpochDropout(0.5), [DrawEachEpoch()])
    claim.exact("same_within_an_epoch", bool((seen == seen[:, :1]).all()), True)
    claim.exact("masks_of_epochs", len(np.unique(seen[:, 0], axis=0)), 4)
    layer = EpochDropout(0.5)
    layer.build((None, 2000))
    layer.draw()
    kept = numpy(layer.mask)
    claim.share("dropped", kept == 0, 0.5)
    claim.exact("values", sorted(set(kept.tolist())), [0.0, 2.0])


def test_a_number_as_seed_repeats_the_mask(claim):
    """The function `keras.random.dropout(x, 0.5, seed=42)` has no state: every call with the same number gives the
    same mask."""
    ones = keras.ops.ones((100, 100))
    a, b = (numpy(keras.random.dropout(ones, 0.5, seed=42)) for _ in range(2))
    claim.exact("same", bool((a == b).all()), True)
    claim.share("dropped", a == 0, 0.5)


def mask_on(device):
    """The mask of a million ones that a number as seed gives on a device."""
    with keras.device(device):
        return numpy(keras.random.dropout(keras.ops.ones((1000, 1000)), 0.5, seed=42)) > 0


@pytest.mark.gpu
@pytest.mark.only("tensorflow", "jax", why="PyTorch has another generator on a GPU")
def test_a_mask_of_the_processor_and_of_the_gpu(claim, small):
    """With the same number as seed, a processor and a GPU decide alike about a share of {alike:.2f} of the values."""
    claim.exact("alike", float(np.mean(mask_on("cpu") == mask_on("cpu" if small else "gpu"))), 1.0)


@pytest.mark.gpu
@pytest.mark.only("torch", why="TensorFlow and JAX promise the same numbers on a GPU")
def test_pytorchs_mask_of_the_processor_and_of_the_gpu(claim, small):
    """With the same number as seed, PyTorch decides alike on a processor and on a GPU about a share of
    {alike_torch:.2f} of the values, as chance does."""
    claim.share("alike_torch", mask_on("cpu") == mask_on("cpu" if small else "cuda"), 0.5)


def test_the_state_can_be_set_back(claim):
    """Setting the layer's state back repeats a mask: `layer.seed_generator.state.assign([1, 0])`."""
    layer = layers.Dropout(0.5, seed=1)
    first = mask(layer)
    layer.seed_generator.state.assign([1, 0])
    claim.exact("same", bool((first == mask(layer)).all()), True)


def test_set_random_seed_repeats_a_run(claim):
    """`keras.utils.set_random_seed` before the model is built repeats a whole run: initial weights, order of the data,
    masks, and so the trained weights."""
    runs = []
    for _ in range(2):
        keras.utils.set_random_seed(0)
        runs.append(trained())
    claim.close("difference", difference(*runs), 0, 1e-5)


def test_a_seed_in_the_layer_does_not_repeat_a_run(claim):
    """`Dropout(0.5, seed=1)` alone does not repeat a run: the initial weights and the order of the data still
    differ."""
    keras.utils.set_random_seed(0)
    runs = [trained(lambda rate: layers.Dropout(rate, seed=1)) for _ in range(2)]
    claim.exact("repeated", bool(difference(*runs) < 1e-3), False)


def test_numpys_seed_does_not_repeat_the_masks(claim, program):
    """The wrong twin: `np.random.seed` does not reach the masks. Two runs agree on a share of {runs_agree:.2f} of the
    units."""
    runs = program("seeds_wrong")["runs"]
    claim.share("runs_agree", runs[0] == runs[1], 0.5)


def test_one_seed_in_two_layers_couples_them(claim):
    """Two layers of equal shape and equal seed drop the same units, in every step."""
    first, second = layers.Dropout(0.5, seed=42), layers.Dropout(0.5, seed=42)
    claim.exact("same", [bool((mask(first) == mask(second)).all()) for _ in range(3)], [True] * 3)


def test_one_layer_used_twice_draws_twice(claim):
    """One Dropout layer may stand in several places: each of its calls draws, and two of them agree on a share of
    {agree_of_two_places:.2f} of the units."""
    layer, inputs = layers.Dropout(0.5), keras.Input((200,))
    model = keras.Model(inputs, [layer(inputs), layer(inputs)])
    a, b = (numpy(out) == 0 for out in model(np.ones((100, 200), "float32"), training=True))
    claim.share("agree_of_two_places", a == b, 0.5)


def test_loading_starts_the_sequence_anew(claim, tmp_path):
    """A saved model does not keep the count: after loading, the sequence of masks starts anew."""
    layer = layers.Dropout(0.5, seed=13)
    model = keras.Sequential([keras.Input((8,)), layer])
    masks = [numpy(model(np.ones((100, 8), "float32"), training=True)) for _ in range(2)]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    claim.exact("state", numpy(loaded.layers[0].seed_generator.state).tolist(), [13, 0])
    again = numpy(loaded(np.ones((100, 8), "float32"), training=True))
    claim.exact("first_mask_again", bool((again == masks[0]).all()), True)


@pytest.mark.only("tensorflow", why="`fit` shuffles with TensorFlow there")
@pytest.mark.holds(
    "keras>=3.0,<3.16", why="in the nightly build of Keras 3.16 an unseeded `fit` repeats its order, too"
)
def test_a_seeded_fit_repeats_its_order_on_tensorflow(claim):
    """On TensorFlow, after `set_random_seed`, `fit` takes the examples in one and the same order in every epoch, and so in
    the same batches: {seeded} order in 4 epochs. Without a seed it takes {unseeded}."""
    import tensorflow as tf

    orders = orders_in_fit()
    claim.exact("every_example_once", bool((np.sort(orders) == np.arange(10)).all()), True)
    claim.exact("shuffled", bool((orders[0] != np.arange(10)).any()), True)
    claim.exact("seeded", len(np.unique(orders, axis=0)), 1)
    tf.random.set_seed(None)
    claim.exact("unseeded", len(np.unique(orders_of_fit(), axis=0)), 4)


@pytest.mark.only("tensorflow", why="Keras 2 runs on TensorFlow alone")
def test_in_keras_2_a_seeded_fit_shuffles_anew(claim):
    """In Keras 2 a seeded `fit` takes the examples in a new order in every epoch: {seeded_in_keras_2} orders in 4 epochs."""
    import tensorflow as tf
    import tf_keras

    class Seen(tf_keras.layers.Layer):
        def call(self, inputs, training=False):
            if training:
                tf.py_function(lambda row: seen.append(int(row.numpy().argmax())), [inputs], [])
            return inputs

    tf_keras.utils.set_random_seed(0)
    seen, rows = [], np.eye(10, dtype="float32")
    model = tf_keras.Sequential([tf_keras.Input((10,)), Seen(), tf_keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.predict(rows, verbose=0)
    seen.clear()
    model.fit(rows, rows[:, :1], batch_size=1, epochs=4, verbose=0)
    orders = np.reshape(seen, (4, 10))
    claim.exact("every_example_once_in_keras_2", bool((np.sort(orders) == np.arange(10)).all()), True)
    claim.exact("seeded_in_keras_2", len(np.unique(orders, axis=0)), 4)


@pytest.mark.only("jax", "torch", why="on TensorFlow it does not")
def test_a_seeded_fit_shuffles_anew_on_jax_and_pytorch(claim):
    """On JAX and on PyTorch a seeded `fit` takes the examples in a new order in every epoch: {orders} orders in 4 epochs."""
    claim.exact("orders", len(np.unique(orders_in_fit(), axis=0)), 4)


@pytest.mark.only("tensorflow", why="tf.data is TensorFlow's")
def test_a_shuffled_tf_data_set_has_a_new_order(claim):
    """A `tf.data.Dataset` that is shuffled by its own `shuffle(len(x))` gives a seeded `fit` a new order in every epoch:
    {orders_of_tf_data} in 4 epochs."""
    import tensorflow as tf

    rows = np.eye(10, dtype="float32")
    data = tf.data.Dataset.from_tensor_slices((rows, rows[:, :1])).shuffle(10).batch(1)
    orders = orders_in_fit(x=data, y=None, batch_size=None)
    claim.exact("every_example_once_with_tf_data", bool((np.sort(orders) == np.arange(10)).all()), True)
    claim.exact("orders_of_tf_data", len(np.unique(orders, axis=0)), 4)


def test_a_rate_of_zero_changes_nothing(claim):
    """Under one seed, a network with `Dropout(0.0)` starts from the same weights as the network without it, and
    computes the same; the layer does not even own a random generator."""
    without, zero = network(None), network(0.0)
    claim.exact("difference_at_the_start", float(difference(without.get_weights(), zero.get_weights())), 0.0)
    outputs = [numpy(model(x, training=True)) for model in (without, zero)]
    claim.exact("difference_of_outputs", float(np.abs(outputs[0] - outputs[1]).max()), 0.0)
    claim.exact("has_a_generator", hasattr(zero.layers[1], "seed_generator"), False)


def test_any_other_rate_shifts_the_initial_weights(claim):
    """A Dropout with a rate above zero draws a seed when it is made. Under one seed, the layers behind it then start
    from other weights than without it, and those in front from the same. Given a `seed` of its own it draws none, and all
    stay the same."""
    without, half = network(None).get_weights(), network(0.5).get_weights()
    claim.exact("kernel_in_front_differs", bool(np.any(without[0] != half[0])), False)
    claim.exact("kernel_behind_differs", bool(np.any(without[2] != half[2])), True)
    keras.utils.set_random_seed(0)
    given = keras.Sequential([keras.Input((8,)), layers.Dense(16), layers.Dropout(0.5, seed=1), layers.Dense(1)])
    claim.exact("kernel_behind_differs_with_a_seed", bool(np.any(without[2] != given.get_weights()[2])), False)


@pytest.mark.only("tensorflow", why="jit_compile and its generator are TensorFlow's")
def test_compiled_masks_are_others(claim):
    """On TensorFlow the same seed gives other masks under `jit_compile=True` than without; the two agree on a share of
    {agree_compiled:.2f} of the units."""
    import tensorflow as tf

    plain, compiled = layers.Dropout(0.5, seed=5), layers.Dropout(0.5, seed=5)
    ones = tf.ones((100, 100))
    run = tf.function(lambda inputs: compiled(inputs, training=True), jit_compile=True)
    claim.share("agree_compiled", (numpy(plain(ones, training=True)) == 0) == (run(ones).numpy() == 0), 0.5)


REPLICAS = """
import tensorflow as tf
devices = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
import keras
with strategy.scope():
    layer = keras.layers.Dropout(0.5)
step = tf.function(lambda: strategy.run(lambda: layer(tf.ones((100, 100)), training=True)))
for _ in range(2):
    a, b = strategy.experimental_local_results(step())
    print(float(tf.reduce_mean(tf.cast((a == 0) == (b == 0), "float32"))))
"""


@pytest.mark.only("tensorflow", why="MirroredStrategy is TensorFlow's")
def test_replicas_draw_the_same_mask(claim):
    """Under `tf.distribute.MirroredStrategy` two replicas drop the same units at every step: their masks agree on a
    share of {replicas_agree:.1f}."""
    run = subprocess.run([sys.executable, "-c", REPLICAS], capture_output=True, text=True, check=True)
    shares = [float(line) for line in run.stdout.split()]
    claim.exact("steps", len(shares), 2)
    claim.exact("replicas_agree", min(shares), 1.0)


def recomputed(drop):
    """Whether the backward pass of a recomputed function uses the mask of its forward pass, unit by unit."""
    run, ones = keras.remat(drop), np.ones((100, 100), "float32")
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        inputs = tf.Variable(ones)
        with tf.GradientTape() as tape:
            outputs = run(inputs)
        gradient = tape.gradient(outputs, inputs)
    else:
        import torch

        inputs = torch.tensor(ones, requires_grad=True)
        outputs = run(inputs)
        outputs.sum().backward()
        gradient = inputs.grad
    return (numpy(outputs) == 0) == (numpy(gradient) == 0)


RECOMPUTED = pytest.mark.only("tensorflow", "torch", why="under JAX it is an error")


@RECOMPUTED
def test_recomputation_draws_another_mask(claim):
    """In Keras 3.15 a seeded Dropout inside `keras.remat` draws a second mask in the backward pass: forward and
    backward agree on a share of {passes_agree:.2f} of the units, so the gradient is that of another network."""
    layer = layers.Dropout(0.5, seed=1)
    claim.share("passes_agree", recomputed(lambda inputs: layer(inputs, training=True)), 0.5)


@RECOMPUTED
def test_a_number_as_seed_survives_recomputation(claim):
    """With a number as seed, `keras.random.dropout` inside `keras.remat` keeps its mask in the backward pass."""
    agree = recomputed(lambda inputs: keras.random.dropout(inputs, 0.5, seed=3))
    claim.exact("all_agree", bool(agree.all()), True)
