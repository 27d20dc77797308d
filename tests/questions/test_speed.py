"""Does dropout slow training down?"""

import keras
import numpy as np
import pytest
from speed import calls, each_step, race, steps

numpy = keras.ops.convert_to_numpy
DTYPES = ["float32", "bfloat16"]


@pytest.fixture(scope="module")
def x():
    return keras.ops.ones((1000, 100))


def test_at_inference_it_hands_its_input_on(claim, x):
    """At inference Dropout hands its input on, the very same tensor, and no work is left to do."""
    claim.exact("same_tensor", keras.layers.Dropout(0.5)(x) is x, True)


def test_a_rate_of_zero_is_no_work(claim, x):
    """With a rate of zero it does so in training too, and keeps no random numbers ready."""
    layer = keras.layers.Dropout(0)
    claim.exact("same_tensor_at_zero", layer(x, training=True) is x, True)
    claim.exact("states_at_zero", len(layer.variables), 0)


@pytest.mark.only("tensorflow", why="it looks at TensorFlow's graph")
def test_it_draws_one_random_number_for_each_value(claim, x):
    """In training Dropout draws one random number for each value: {drawn:,} for 1000 examples of 100 units, and
    `SpatialDropout1D` one for each feature map, {drawn_maps:,} for 50 examples of 100 maps of length 20."""
    import tensorflow as tf

    def drawn(layer, inputs):
        function = tf.function(lambda inputs: layer(inputs, training=True)).get_concrete_function(inputs)
        graphs = [function.graph, *(f.graph for f in function.graph._functions.values() if hasattr(f, "graph"))]
        shapes = [
            op.outputs[0].shape for graph in graphs for op in graph.get_operations() if "RandomUniform" in op.type
        ]
        return sum(shape.num_elements() for shape in shapes)

    claim.exact("drawn", drawn(keras.layers.Dropout(0.5), x), 1000 * 100)
    maps = keras.ops.reshape(x, (50, 20, 100))
    claim.exact("drawn_maps", drawn(keras.layers.SpatialDropout1D(0.5), maps), 50 * 100)


@pytest.mark.only("tensorflow", why="it looks at TensorFlow's graph")
def test_it_adds_no_matrix_product(claim):
    """A training step of a network with two hidden layers computes {products} matrix products, with Dropout behind each
    and without."""
    import tensorflow as tf

    def products(rate):
        keras.utils.set_random_seed(0)
        layers = [keras.Input((64,))]
        for _ in range(2):
            layers += [keras.layers.Dense(32, "relu"), keras.layers.Dropout(rate)]
        model = keras.Sequential([*layers, keras.layers.Dense(10)])

        @tf.function
        def step(inputs):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(model(inputs, training=True) ** 2)
            return tape.gradient(loss, model.trainable_variables)

        graph = step.get_concrete_function(tf.ones((8, 64))).graph
        return sum(op.type == "MatMul" for op in graph.get_operations())

    claim.exact("products", products(0.5), products(0))
    claim.exact("products_without", products(0), 8)


def test_beside_a_matrix_product_it_is_little_arithmetic(claim):
    """A `Dense(4096)` that reads 4096 values takes {products_per_value:,} multiplications for each value that a Dropout
    behind it draws one number for."""
    layer = keras.layers.Dense(4096)
    layer.build((None, 4096))
    claim.exact("products_per_value", int(np.prod(layer.kernel.shape)) // layer.units, 4096)


def test_a_call_without_training_times_nothing(claim, program):
    """The wrong twin: a Dropout that is timed as `layer(x)` hands its input on a hundred times, and drops {timed_dropped}
    values."""
    twin = program("speed_wrong")
    claim.exact("timed_same_tensor", twin["y"] is twin["x"], True)
    claim.exact("timed_dropped", int(np.count_nonzero(numpy(twin["y"]) == 0)), 0)


# ------------------------------------------------------------------------------------ measured on a GPU only


def compiled(layer):
    """A call of a Dropout in training that the backend compiles: XLA for TensorFlow and JAX."""
    variables = [variable.value for variable in layer.non_trainable_variables]
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(lambda inputs: layer(inputs, training=True), jit_compile=True)
    import jax

    function = jax.jit(lambda state, inputs: layer.stateless_call([], state, inputs, training=True))
    return lambda inputs: function(variables, inputs)[0]


def against_a_change_of_sign(claim, name, dtype, dropout, small):
    """Times Dropout against the change of sign, which reads and writes the same bytes and is bound by them."""
    inputs = keras.ops.ones((2**7, 2**5) if small else (2**15, 2**12), dtype)
    nbytes = 2 * inputs.shape[0] * inputs.shape[1] * (4 if dtype == "float32" else 2)
    sign, drop = race(calls(lambda: -inputs), calls(lambda: dropout(inputs)), rounds=3 if small else 30).T / 10
    claim.timed(f"sign_{name}", 1000 * sign, above=0)
    claim.timed(f"dropout_{name}", 1000 * drop, above=0)
    claim.timed(f"bandwidth_{name}", nbytes / sign / 1e9, above=0)
    claim.timed(f"share_{name}", sign / drop, above=0, below=1.1)  # nothing is faster than the bytes


def bottle(rate=None):
    """Two Dense layers of 200 units with ReLU between, and Dropout behind it if there is a rate; and 1000 inputs."""
    keras.utils.set_random_seed(0)
    drop = [] if rate is None else [keras.layers.Dropout(rate)]
    layers = [keras.layers.Dense(200, "relu"), *drop, keras.layers.Dense(200)]
    return keras.Sequential([keras.Input((200,)), *layers]), np.ones((1000, 200), "float32")


def kept_by_pytorch(model, x):
    """Bytes that a training call keeps for its gradient, for each value of `x`; the weights do not count."""
    import torch

    saved, weights = {}, {v.value.data_ptr() for v in model.weights}

    def pack(tensor):
        if tensor.data_ptr() not in weights:
            saved[tensor.data_ptr()] = tensor  # held, so that no other takes its address
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(torch.tensor(x), training=True)
    return sum(tensor.nbytes for tensor in saved.values()) / x.size


@pytest.mark.cpu
@pytest.mark.only("torch", why="it looks at the tensors that PyTorch keeps")
def test_pytorch_keeps_a_mask_and_an_output_for_the_backward_pass(claim):
    """On a processor PyTorch keeps {torch_without:.0f} bytes for each hidden value until the backward pass, and with Dropout,
    which needs its noise again and hands on another output, {torch_with:.0f}, in float32."""
    claim.exact("torch_without", kept_by_pytorch(*bottle()), 8.0)
    claim.exact("torch_with", kept_by_pytorch(*bottle(0.1)), 16.0)


@pytest.mark.cpu
@pytest.mark.only("torch", why="it looks at the tensors that PyTorch keeps")
def test_in_front_of_an_addition_pytorch_keeps_the_mask_alone(claim):
    """On a residual branch, in front of the addition, PyTorch keeps {branch_more:.0f} bytes more for each value with Dropout than
    without, in float32: its noise, and no output."""

    def branch(rate=None):
        keras.utils.set_random_seed(0)
        x = keras.Input((200,))
        y = keras.layers.Dense(200)(keras.layers.Dense(200, "relu")(x))
        y = y if rate is None else keras.layers.Dropout(rate)(y)
        return keras.Model(x, keras.layers.Add()([x, y])), np.ones((1000, 200), "float32")

    claim.exact("branch_more", kept_by_pytorch(*branch(0.1)) - kept_by_pytorch(*branch()), 4.0)


@pytest.mark.only("jax", why="it looks at the arrays that JAX keeps")
def test_jax_keeps_a_mask_and_an_output_for_the_backward_pass(claim):
    """JAX keeps {jax_more:.0f} bytes more for each hidden value with Dropout than without: one for the mask, and an output
    in float32."""
    import jax

    def kept(model, x):
        weights, rest = ([v.value for v in part] for part in (model.trainable_variables, model.non_trainable_variables))
        _, backward = jax.vjp(lambda w: model.stateless_call(w, rest, x, training=True)[0], weights)
        return sum(leaf.nbytes for leaf in jax.tree.leaves(backward) if leaf.size == x.size) / x.size

    claim.exact("jax_more", kept(*bottle(0.1)) - kept(*bottle()), 5.0)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES)
def test_dropout_against_the_memory(claim, dtype, small):
    """On 2^27 values, called by itself, `Dropout(0.5)` takes {dropout_float32.interval:.2f} ms in float32 and
    {dropout_bfloat16.interval:.2f} ms in bfloat16. A change of sign moves the same bytes at
    {bandwidth_float32.interval:,.0f} GB/s in float32 and {bandwidth_bfloat16.interval:,.0f} GB/s in bfloat16, and Dropout
    reaches {share_float32:.0%} and {share_bfloat16:.0%} of that."""
    layer = keras.layers.Dropout(0.5, dtype=dtype)
    against_a_change_of_sign(claim, dtype, dtype, lambda inputs: layer(inputs, training=True), small)


@pytest.mark.gpu
@pytest.mark.only("tensorflow", "jax", why="they compile with XLA")
@pytest.mark.parametrize("dtype", DTYPES)
def test_dropout_compiled_against_the_memory(claim, dtype, small):
    """Compiled by XLA, the same `Dropout(0.5)` takes {dropout_compiled_float32.interval:.2f} ms in float32 and
    {dropout_compiled_bfloat16.interval:.2f} ms in bfloat16: {share_compiled_float32:.0%} and
    {share_compiled_bfloat16:.0%} of the speed of the change of sign."""
    layer = keras.layers.Dropout(0.5, dtype=dtype)
    against_a_change_of_sign(claim, f"compiled_{dtype}", dtype, compiled(layer), small)


def with_and_without(claim, name, policy, small, **options):
    """Times a training step with Dropout behind both hidden layers, as a multiple of one without."""
    size = {"width": 16, "batch": 8} if small else {"width": 4096, "batch": 4096}
    makes = [lambda n, rate=rate: steps(rate, n=n, **size, **options) for rate in (0, 0.5)]
    keras.config.set_dtype_policy(policy)
    try:
        without, with_ = each_step(*makes, n=2 if small else 10, rounds=3 if small else 20).T
    finally:
        keras.config.set_dtype_policy("float32")
    claim.timed(f"step_{name}", 1000 * without, above=0)
    claim.timed(f"ratio_{name}", with_ / without, above=0.95, below=2)


@pytest.mark.gpu
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_a_training_step_with_and_without(claim, policy, small):
    """In a network with two hidden layers of 4096 and batches of 4096, a training step takes
    {step_float32.interval:.2f} ms in float32 and {step_mixed_bfloat16.interval:.2f} ms in `mixed_bfloat16`, and with
    Dropout {ratio_float32.interval:.3f} and {ratio_mixed_bfloat16.interval:.3f} times as long, not compiled by XLA."""
    with_and_without(claim, policy, policy, small, jit_compile=False)


@pytest.mark.gpu
@pytest.mark.only("tensorflow", "jax", why="they compile with XLA")
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_a_compiled_training_step_with_and_without(claim, policy, small):
    """Compiled by XLA, the step takes {step_compiled_float32.interval:.2f} ms in float32 and
    {step_compiled_mixed_bfloat16.interval:.2f} ms in `mixed_bfloat16`, and with Dropout
    {ratio_compiled_float32.interval:.3f} and {ratio_compiled_mixed_bfloat16.interval:.3f} times as long."""
    with_and_without(claim, f"compiled_{policy}", policy, small, jit_compile=True)
