"""How do I get dropout right in a training loop of my own?"""

import keras
import numpy as np
import pytest
from custom_training import Block, network

numpy = keras.ops.convert_to_numpy
N = 10_000


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


@pytest.fixture
def x():
    return keras.ops.ones((1, N))


def dropping(**arguments):
    return keras.Sequential([keras.Input((N,)), keras.layers.Dropout(0.5, **arguments)])


def gradient(function, x, *others):
    """A function's value and the gradient of its sum, as arrays, on any backend."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x, *others)
        return numpy(y), numpy(tape.gradient(y, x))
    if backend == "jax":
        import jax

        def summed(x):
            y = function(x, *others)
            return y.sum(), y

        slope, y = jax.grad(summed, has_aux=True)(x)
        return numpy(y), numpy(slope)
    x = x.detach().requires_grad_()
    y = function(x, *others)
    y.sum().backward()
    return numpy(y.detach()), numpy(x.grad)


def test_nobody_says_it_for_you(claim, x):
    """A model that you call yourself drops nothing, and a share of {told:.2f} with `training=True`."""
    claim.exact("untold", float(np.mean(numpy(dropping()(x)) == 0)), 0.0)
    claim.share("told", numpy(dropping()(x, training=True)) == 0, 0.5)


def test_a_layer_of_your_own_hands_it_on(claim):
    """`Block` hands `training` on: its outputs differ from call to call in training, and agree at inference."""
    block, x = Block(100, 0.5), keras.ops.ones((4, 8))
    calls = {mode: [numpy(block(x, training=mode)) for _ in range(2)] for mode in (True, False)}
    claim.exact("training_calls_differ", not np.array_equal(*calls[True]), True)
    claim.exact("inference_calls_agree", np.array_equal(*calls[False]), True)


def test_the_function_of_a_batch_says_it(claim):
    """`train_on_batch` trains the model of the program with dropout: with a learning rate of 0, two steps on one batch give
    two losses; `test_on_batch` gives one."""
    model, x, y = network(), np.ones((32, 8), "float32"), np.zeros((32, 1), "float32")
    model.compile(keras.optimizers.SGD(0.0), "mse")
    losses = {"train": [], "test": []}
    for _ in range(2):
        losses["train"].append(model.train_on_batch(x, y))
        model.reset_metrics()
        losses["test"].append(model.test_on_batch(x, y))
        model.reset_metrics()
    claim.exact("train_losses_differ", losses["train"][0] != losses["train"][1], True)
    claim.exact("test_losses_agree", losses["test"][0] == losses["test"][1], True)


def test_a_stateless_call_repeats_its_mask(claim, x):
    """`stateless_call` with the same state drops the same units; with the state that it returned, other ones: the two masks
    agree in a share of {agree:.2f}."""
    model = dropping(seed=1)
    state = [v.value for v in model.non_trainable_variables]
    first, new = model.stateless_call([], state, x, training=True)
    again, _ = model.stateless_call([], state, x, training=True)
    other, _ = model.stateless_call([], new, x, training=True)
    claim.exact("the_same_mask", np.array_equal(numpy(first), numpy(again)), True)
    claim.share("agree", numpy(first) == numpy(other), 0.5)


def test_a_stateless_call_leaves_the_layer_alone(claim, x):
    """The state is the seed and a count of draws. `stateless_call` returns the count {returned}, and the layer's own stays
    at {own}."""
    model = dropping(seed=3)
    state = [v.value for v in model.non_trainable_variables]
    _, new = model.stateless_call([], state, x, training=True)
    claim.exact("returned", int(numpy(new[0])[1]), 1)
    claim.exact("own", int(numpy(model.non_trainable_variables[0])[1]), 0)


def test_a_stateless_call_is_off_by_default(claim, x):
    """`stateless_call` without `training=True` drops nothing, and returns the state unchanged."""
    model = dropping(seed=1)
    state = [v.value for v in model.non_trainable_variables]
    outputs, new = model.stateless_call([], state, x)
    claim.exact("zeros_by_default", int(np.sum(numpy(outputs) == 0)), 0)
    claim.exact("state_unchanged", np.array_equal(numpy(new[0]), numpy(state[0])), True)


@pytest.mark.parametrize("seed", ["number", "generator"])
def test_a_function_needs_a_generator(claim, x, seed):
    """`keras.random.dropout` with a number as its seed gives one mask at every call; with a `SeedGenerator`, a new one each
    time: two calls agree in a share of {generator:.2f}."""
    given = 7 if seed == "number" else keras.random.SeedGenerator(7)
    first, second = (numpy(keras.random.dropout(x, 0.5, seed=given)) for _ in range(2))
    if seed == "number":
        claim.exact("number", np.array_equal(first, second), True)
    else:
        claim.share("generator", first == second, 0.5)


def test_a_generator_in_a_layer_is_state(claim):
    """A `SeedGenerator` made in a layer's constructor is among the model's `non_trainable_variables`: {found} of them."""

    class Own(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.seed = keras.random.SeedGenerator(7)

        def call(self, inputs, training=None):
            return keras.random.dropout(inputs, 0.5, seed=self.seed) if training else inputs

    claim.exact("found", len(keras.Sequential([keras.Input((8,)), Own()]).non_trainable_variables), 1)


@pytest.mark.only("jax", why="jax.jit is JAX's")
def test_jit_of_a_layer_bakes_the_mask_in(claim, x):
    """Under JAX, `jax.jit` of a function that calls a layer with `training=True` gives the same mask at every call, and the
    layer's next use outside fails: {error}."""
    import jax

    layer = keras.layers.Dropout(0.5)
    compiled = jax.jit(lambda v: layer(v, training=True))
    claim.exact("jit_masks_agree", np.array_equal(numpy(compiled(x)), numpy(compiled(x))), True)
    with pytest.raises(jax.errors.UnexpectedTracerError) as error:
        layer(x, training=True)
    claim.exact("error", error.type.__name__, "UnexpectedTracerError")


@pytest.mark.only("jax", why="jax.jit is JAX's")
def test_jit_of_an_unseeded_function_is_an_error(claim, x):
    """Under JAX, `keras.random.dropout` without a seed inside `jax.jit` is an error: “{message}”"""
    import jax

    with pytest.raises(ValueError) as error:
        jax.jit(lambda v: keras.random.dropout(v, 0.5))(x)
    expected = "[JAX RNG] When tracing a JAX function, you should only use seeded random ops"
    claim.exact("message", str(error.value).split(", e.g.")[0], expected)


@pytest.mark.only("jax", why="Flax is a library for JAX")
def test_flax_takes_keys(claim):
    """In Flax, a Dropout that is given a key as `rng`, and one that finds it in `rngs`, repeat their masks with it; two keys
    made by `fold_in` give masks that agree in a share of {folded:.2f}."""
    import flax.linen as nn
    import jax

    x, key, layer = jax.numpy.ones((1, N)), jax.random.key(0), nn.Dropout(0.5, deterministic=False)
    given = [numpy(nn.Dropout(0.5, deterministic=False).apply({}, x, rng=key)) for _ in range(2)]
    claim.exact("given_agree", np.array_equal(*given), True)
    first, again = (numpy(layer.apply({}, x, rngs={"dropout": key})) for _ in range(2))
    claim.exact("found_agree", np.array_equal(first, again), True)
    folded = [numpy(layer.apply({}, x, rngs={"dropout": jax.random.fold_in(key, i)})) for i in range(2)]
    claim.share("folded", folded[0] == folded[1], 0.5)


@pytest.mark.only("tensorflow", why="tf.function is TensorFlow's")
def test_a_layer_made_in_call_is_an_error(claim):
    """A Dropout that `call` makes, instead of the constructor, is an error in `fit` on TensorFlow: “{message}”"""

    class Making(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(4)

        def call(self, inputs, training=None):
            return keras.layers.Dropout(0.5)(self.dense(inputs), training=training)

    model = Making()
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="singleton") as error:
        model.fit(np.ones((8, 3)), np.ones((8, 4)), verbose=0)
    said = "tf.function only supports singleton tf.Variables created on the first call"
    claim.exact("message", said if said in str(error.value) else str(error.value), said)


@pytest.mark.only("tensorflow", why="tf.Module and tf.nn.dropout are TensorFlow's")
def test_what_is_no_layer_does_not_hand_it_on(claim, x):
    """`tf.nn.dropout` in a model drops also at inference, a share of {function:.2f}. A `tf.Module` called by itself does not
    tell its layers to train; called inside a Keras layer that trains, its Dropout drops a share of {inside:.2f}."""
    import tensorflow as tf

    class Module(tf.Module):
        def __init__(self):
            super().__init__()
            self.dropout = keras.layers.Dropout(0.5)

        def __call__(self, inputs):
            return self.dropout(inputs)

    class Around(keras.layers.Layer):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def call(self, inputs, training=None):
            return self.inner(inputs)

    claim.share("function", numpy(Around(lambda v: tf.nn.dropout(v, 0.5))(x, training=False)) == 0, 0.5)
    claim.exact("alone", int(np.sum(numpy(Module()(x)) == 0)), 0)
    claim.share("inside", numpy(Around(Module())(x, training=True)) == 0, 0.5)


@pytest.mark.only("tensorflow", "torch", why="under JAX it is an error")
def test_rematerialised_dropout_takes_another_mask(claim, x):
    """In Keras 3.15 a Dropout inside `keras.remat` takes another mask for the gradient than for the output: the two agree in
    a share of {remat:.2f}, where they must be the same. It has a `seed`, which matters on PyTorch."""
    layer = keras.layers.Dropout(0.5, seed=1)
    y, slope = gradient(keras.remat(lambda v: layer(v, training=True)), x)
    claim.share("remat", (y > 0) == (slope > 0), 0.5)
    y, slope = gradient(lambda v: layer(v, training=True), x)
    claim.exact("without_remat_they_agree", np.array_equal(y > 0, slope > 0), True)


@pytest.mark.only("torch", why="the generator is PyTorch's")
def test_without_a_seed_pytorch_repeats_the_mask(claim, x):
    """On PyTorch, a Dropout without a `seed` takes the same mask for both inside `keras.remat`: PyTorch puts its own generator
    back."""
    layer = keras.layers.Dropout(0.5)
    y, slope = gradient(keras.remat(lambda v: layer(v, training=True)), x)
    claim.exact("unseeded_agree", np.array_equal(y > 0, slope > 0), True)


@pytest.mark.only("torch", why="the generator is PyTorch's")
def test_with_a_shape_pytorch_takes_another_mask(claim, x):
    """On PyTorch a Dropout with a `noise_shape` takes another mask in the second pass of `keras.remat`, even without a seed:
    masks agree in a share of {shaped:.2f}."""
    layer = keras.layers.Dropout(0.5, noise_shape=(None, 1))
    y, slope = gradient(keras.remat(lambda v: layer(v, training=True)), keras.ops.ones((4000, 2)))
    claim.share("shaped", (y > 0)[:, 0] == (slope > 0)[:, 0], 0.5)


@pytest.mark.only("jax", why="the error is JAX's")
def test_rematerialised_dropout_is_an_error_under_jax(claim, x):
    """Under JAX a Dropout inside `keras.remat` is an error, {error}; `jax.checkpoint` of a `stateless_call` is not, and takes
    one mask for both."""
    import jax

    model = dropping(seed=1)
    with pytest.raises(jax.errors.UnexpectedTracerError) as error:
        gradient(keras.remat(lambda v: model(v, training=True)), x)
        numpy(model(x, training=True))
    claim.exact("error", error.type.__name__, "UnexpectedTracerError")
    model = dropping(seed=1)
    state = [v.value for v in model.non_trainable_variables]
    y, slope = gradient(jax.checkpoint(lambda v: model.stateless_call([], state, v, training=True)[0]), x)
    claim.exact("stateless_agree", np.array_equal(y > 0, slope > 0), True)


def test_a_mask_drawn_outside_stays(claim, x):
    """A mask drawn outside and passed into `keras.remat` is the same for both, on every backend."""
    mask = keras.random.dropout(keras.ops.ones_like(x), 0.5, seed=keras.random.SeedGenerator(1))
    y, slope = gradient(keras.remat(lambda v, m: v * m), x, mask)
    claim.exact("outside_agree", np.array_equal(y > 0, slope > 0), True)


def test_the_mistakes_drop_nothing_or_always_the_same(claim, program):
    """The wrong twin: a forgotten `training=True` drops {forgotten} units, and three steps whose state is thrown away drop
    the same ones."""
    twin = program("custom_training_wrong")
    claim.exact("forgotten", int(np.sum(numpy(twin["model"](twin["x"])) == 0)), 0)
    thrown, state = [], [v.value for v in twin["state"]]
    for _ in range(3):
        outputs, _ = twin["model"].stateless_call([], state, twin["x"], training=True)
        thrown.append(numpy(outputs) == 0)
    claim.exact("thrown_away", len(np.unique(thrown, axis=0)), 1)
    claim.exact("kept", len(np.unique(twin["masks"], axis=0)), 3)
