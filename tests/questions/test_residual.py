"""Where does dropout go in a Transformer block?"""

import keras
import numpy as np
import pytest
from fair_comparison import dense, digits, evaluate
from keras import layers
from residual import block, encoder
from residual_wrong import after_the_addition, before_the_addition, stack

numpy = keras.ops.convert_to_numpy
KINDS = pytest.mark.parametrize("kind", ["pre", "post"])


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def silent(model):
    """The same model with sub-layers that put out zeros: what is left is the identity path."""
    model.set_weights([np.zeros_like(w) if w.ndim > 1 else w for w in model.get_weights()])
    return model


def gradient(model, x):
    """The gradient of the sum of a training call's outputs, for each value of the input."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        value = tf.Variable(x)
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(model(value, training=True))
        return tape.gradient(total, value).numpy()
    if backend == "jax":
        import jax

        state = [[v.value for v in model.trainable_variables], [v.value for v in model.non_trainable_variables]]
        return np.asarray(jax.grad(lambda v: model.stateless_call(*state, v, training=True)[0].sum())(x))
    import torch

    value = torch.tensor(x, requires_grad=True)
    model(value, training=True).sum().backward()
    return value.grad.numpy()


def network(replicas, where, kind, depth, rate=0.1, width=32):
    """Residual blocks of two Dense layers for all replicas, with dropout before or after the addition."""

    def normalise(x):
        return layers.LayerNormalization(center=False, scale=False)(x)

    inputs = keras.Input((replicas, 64))
    x = dense(replicas, width)(inputs)
    for _ in range(depth):
        y = dense(replicas, width, "relu")(normalise(x) if kind == "pre" else x)
        y = dense(replicas, width)(y)
        x = {"before": before_the_addition, "after": after_the_addition}[where](x, y, rate)
        x = x if kind == "pre" else normalise(x)
    return [keras.Model(inputs, dense(replicas, 10)(normalise(x) if kind == "pre" else x))]


def gains(study, kind, depth):
    """Accuracy with dropout before the addition minus that after it, replica by replica."""
    replicas = 3 if study.short else 8
    data = digits(500, replicas)
    build = {where: lambda w=where: network(replicas, w, kind, depth) for where in ("before", "after")}
    before, after = (evaluate(build[where], data, epochs=20)[0] for where in ("before", "after"))
    return before - after


@KINDS
def test_it_drops_the_output_of_each_sublayer_before_the_addition(claim, kind, monkeypatch):
    """Both blocks drop each sub-layer's output before it is added: in one training call of a block the additions get
    tensors of which a share of {share_pre:.2f} (pre-norm) and {share_post:.2f} (post-norm) is zero, and the input."""
    addends, call = [], layers.Add.call

    def spy(layer, inputs):
        addends.append([numpy(x) for x in inputs])
        return call(layer, inputs)

    monkeypatch.setattr(layers.Add, "call", spy)
    keras.utils.set_random_seed(0)
    stream, x = keras.Input((64, 64)), normal(0, 8, 64, 64)
    model = keras.Model(stream, block(stream, pre_norm=kind == "pre"))
    addends.clear()
    model(x, training=True)
    claim.exact(f"additions_{kind}", len(addends), 2)
    claim.exact(f"the_input_is_whole_{kind}", np.array_equal(addends[0][0], x), True)
    claim.share(f"share_{kind}", np.array([y == 0 for _, y in addends]), 0.1)


def test_the_order_of_normalisation(claim):
    """Post-norm puts out normalised values, of mean 0 and variance {post:.2f}; pre-norm leaves the sum as it is, here with
    a variance of {pre:.1f}, and so needs one more normalisation behind the last block."""
    keras.utils.set_random_seed(0)
    stream, x = keras.Input((64, 64)), 3 * normal(0, 8, 64, 64)
    post, pre = (numpy(keras.Model(stream, block(stream, pre_norm=p))(x)) for p in (False, True))
    claim.close("post", post.var(axis=-1).mean(), 1, 1e-3)
    claim.close("pre", pre.var(), 10, 2)


def test_the_sum_of_embeddings_and_positions_is_dropped(claim, monkeypatch):
    """The first dropout acts on the sum of embeddings and positions: with rate 0.1 it zeroes a share of {share:.3f} of
    the sum, of shape (64, 64), and a model of 6 blocks then has {listed} Dropout layers."""
    calls, call = [], layers.Dropout.call

    def spy(layer, inputs, training=False):
        outputs = call(layer, inputs, training=training)
        calls.append((numpy(inputs), numpy(outputs)))
        return outputs

    keras.utils.set_random_seed(0)
    model = encoder()
    monkeypatch.setattr(layers.Dropout, "call", spy)
    tokens = np.random.default_rng(0).integers(0, 1000, (8, 64))
    model(tokens, training=True)
    before, after = calls[0]
    embeddings = next(row for row in model.layers if isinstance(row, layers.Embedding))
    claim.exact("it_is_the_embedding_alone", np.array_equal(numpy(embeddings(tokens)), before), False)
    claim.share("share", after == 0, 0.1)
    claim.exact("listed", sum(isinstance(row, layers.Dropout) for row in model.layers), 13)


@KINDS
def test_before_the_addition_the_identity_path_is_whole(claim, kind):
    """Before the addition the identity path is whole: where the sub-layers put out zeros, {zeros_pre} of a training call's
    values are zero after 12 pre-norm blocks and {zeros_post} after 12 post-norm blocks."""
    keras.utils.set_random_seed(0)
    x = stream = keras.Input((16, 64))
    for _ in range(12):
        x = block(x, pre_norm=kind == "pre")
    y = numpy(silent(keras.Model(stream, x))(normal(1, 4, 16, 64), training=True))
    claim.exact(f"zeros_{kind}", int((y == 0).sum()), 0)


@pytest.mark.parametrize("blocks", [1, 6, 12, 24])
def test_after_the_addition_it_survives_with_a_power_of_the_rate(claim, blocks):
    """After the addition, a value of the identity path survives L additions with probability (1 − rate)^L. At rate 0.1 a
    share of {alive_1:.2f} is left after one, {alive_6:.2f} after 6, {alive_12:.2f} after 12 and {alive_24:.2f} after 24."""
    keras.utils.set_random_seed(0)
    y = numpy(stack(after_the_addition, blocks)(np.ones((20_000, 64), "float32"), training=True))
    claim.share(f"alive_{blocks}", y != 0, 0.9**blocks)
    claim.close(f"scale_{blocks}", y.max() * 0.9**blocks, 1, 1e-4)


def test_for_the_rest_the_gradient_is_exactly_zero(claim):
    """For the rest the gradient is exactly zero: along the identity path of 12 additions at rate 0.1, a share of {after:.3f}
    of the inputs gets none after the addition, and {before} of them before it."""
    keras.utils.set_random_seed(0)
    ones = np.ones((5000, 64), "float32")
    after, before = (gradient(stack(step), ones) for step in (after_the_addition, before_the_addition))
    claim.share("after", after == 0, 1 - 0.9**12)
    claim.exact("before", int((before == 0).sum()), 0)
    claim.exact("before_it_is_one", bool((before == 1).all()), True)


def test_what_is_left_grows(claim):
    """What is left is scaled up, so that the mean stays and the mean square grows to (1 − rate)^−L: to {square:.2f} times
    its value after 12 additions at rate 0.1."""
    keras.utils.set_random_seed(0)
    y = numpy(stack(after_the_addition)(np.ones((20_000, 64), "float32"), training=True)).astype("float64")
    n = y.size
    claim.sampled("mean", y.mean(), 1, y.std() / n**0.5, n)
    claim.sampled("square", (y**2).mean(), 0.9**-12, (y**2).std() / n**0.5, n)


def test_at_inference_the_place_makes_no_difference(claim):
    """At inference the place makes no difference: the same weights give the same outputs, to the last bit."""
    x = normal(2, 100, 64)
    keras.utils.set_random_seed(0)
    before, after = stack(before_the_addition), stack(after_the_addition)
    weights = [0.1 * normal(i, *w.shape) for i, w in enumerate(before.get_weights())]
    for model in (before, after):
        model.set_weights(weights)
    claim.exact("same", np.array_equal(numpy(before(x)), numpy(after(x))), True)


def test_the_wrong_twin_cuts_the_identity_path(claim, program):
    """The wrong twin: with dropout after the addition, a share of {alive:.2f} of the identity path is left after 12 additions
    at rate 0.1, and {scale:.2f} times as large."""
    twin = program("residual_wrong")
    y = numpy(twin["y"])
    claim.share("alive", y != 0, 0.9**12)
    claim.close("scale", y.max(), 0.9**-12, 1e-3)


@pytest.mark.study
@KINDS
def test_at_twelve_blocks_the_place_decides(claim, study, kind):
    """With 12 blocks on 500 digits, rate 0.1, accuracy is higher with dropout before the addition than after it, by
    {deep_pre.interval:+.1f} percentage points for pre-norm and {deep_post.interval:+.1f} for post-norm, over
    {deep_pre.n} paired replicas."""
    claim.trained(f"deep_{kind}", gains(study, kind, 12), above=0)


@pytest.mark.study
@KINDS
def test_at_two_blocks_it_does_not_show(claim, study, kind):
    """With 2 blocks no large difference shows: {shallow_pre.interval:+.1f} percentage points for pre-norm and
    {shallow_post.interval:+.1f} for post-norm, over {shallow_pre.n} paired replicas."""
    claim.trained(f"shallow_{kind}", gains(study, kind, 2), above=-2, below=2)


# ------------------------------------------------------------------------------------------------ PyTorch

TORCH = pytest.mark.only("torch", why="`nn.TransformerEncoderLayer` is PyTorch's")


@TORCH
def test_pytorchs_block_drops_in_four_places(claim):
    """`nn.TransformerEncoderLayer` has {torch_modules} Dropout modules, and dropout on its attention weights, all at one
    rate; without the argument it is {torch_default:.1f}."""
    from residual_torch import block, dropouts
    from torch import nn

    layer = block(rate=0.3)
    claim.exact("torch_modules", len(dropouts(layer)), 3)
    claim.exact("torch_rates", [layer.get_submodule(name).p for name in dropouts(layer)], [0.3] * 3)
    claim.exact("torch_attention", layer.self_attn.dropout, 0.3)
    claim.exact("torch_default", nn.TransformerEncoderLayer(64, 4).dropout.p, 0.1)


@TORCH
@KINDS
def test_pytorchs_block_leaves_the_identity_path_whole(claim, kind):
    """With sub-layers that put out zeros, PyTorch's block gives in training exactly what it gives at inference, pre-norm
    and post-norm: its dropout comes before the addition."""
    import torch
    from residual_torch import block, silence

    layer, x = silence(block(rate=0.5, pre_norm=kind == "pre")), torch.tensor(normal(0, 8, 64, 64))
    difference = (layer.train()(x) - layer.eval()(x)).abs().max().item()
    claim.close(f"torch_path_{kind}", difference, 0, 1e-5)
    claim.exact(f"torch_zeros_{kind}", int((layer.train()(x) == 0).sum()), 0)
