"""What does the dropout argument of MultiHeadAttention drop?"""

import keras
import numpy as np
import pytest
from attention import TOKENS, WIDTH, for_inference, transparent, weights
from keras import layers

numpy = keras.ops.convert_to_numpy
x = np.random.default_rng(0).normal(size=(1000, TOKENS, WIDTH)).astype("float32")


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


@pytest.fixture
def fused(monkeypatch):
    """The calls of the backend's fused attention."""
    home = keras.src.backend.ops.nn if hasattr(keras.src.backend, "ops") else keras.src.ops  # from Keras 3.16 on
    calls, attend = [], home.dot_product_attention

    def spy(*arguments, **options):
        calls.append(options)
        return attend(*arguments, **options)

    monkeypatch.setattr(home, "dot_product_attention", spy)
    return calls


def attending(**options):
    tokens = keras.Input((TOKENS, WIDTH))
    return keras.Model(tokens, layers.MultiHeadAttention(2, 8, **options)(tokens, tokens))


def test_it_drops_weights_behind_the_softmax(claim):
    """In training `MultiHeadAttention(dropout=0.5)` sets a share of {share:.2f} of the attention weights to zero, behind
    the softmax, and doubles the others; at inference it does nothing."""
    layer, plain = transparent(dropout=0.5), transparent()
    plain.set_weights(layer.get_weights())
    off, on = weights(layer, x, training=False), weights(layer, x, training=True)
    claim.share("share", on == 0, 0.5)
    claim.close("scale", np.abs(on[on > 0] / off[on > 0] - 2).max() + 2, 2, 1e-3)
    claim.close("difference_at_inference", np.abs(off - weights(plain, x)).max(), 0, 1e-5)


def test_a_token_s_weights_no_longer_sum_to_one(claim):
    """A token's weights then sum to {mean:.2f} on average and not each time: the variance of the sum is `r / (1 - r)`
    times the sum of their squares, here {variance:.2f}."""
    layer = transparent(dropout=0.5)
    off, on = weights(layer, x, training=False), weights(layer, x, training=True)
    variances = (off**2).sum(axis=2)  # r / (1 - r) is one at this rate
    sums = on.sum(axis=2)
    claim.sampled("mean", sums.mean(), 1, (variances.mean() / sums.size) ** 0.5, sums.size)
    squares = (sums - 1) ** 2
    claim.sampled("variance", squares.mean(), variances.mean(), squares.std() / squares.size**0.5, squares.size)


def test_a_token_may_hear_nobody(claim):
    """With few tokens all weights of one can be dropped: among three at rate `0.5` this happens to a share of
    {empty:.3f}, `r` to the power of three. Its output is then zero, if the layer has no bias."""
    on = weights(transparent(3, dropout=0.5), x[:, :3], training=True)
    claim.share("empty", (on == 0).all(axis=2), 0.5**3)


def test_the_first_token_of_a_causal_layer_is_hit_hardest(claim):
    """In causal attention the first token hears only itself, so at rate `0.3` it hears nothing in a share of
    {first:.2f} of the training samples; the sixth, with six to hear, in {sixth.expected:.4f} by arithmetic, and here in
    {sixth:.4f}."""
    on = weights(transparent(dropout=0.3), x, training=True, use_causal_mask=True)
    claim.share("first", (on[:, 0] == 0).all(axis=1), 0.3)
    claim.share("sixth", (on[:, 5] == 0).all(axis=1), 0.3**6)


def test_each_head_and_each_pair_of_tokens_draws(claim, monkeypatch):
    """The mask has the shape of the weights, `(batch, heads, tokens, tokens)`: each head draws for itself."""
    shapes, call = [], layers.Dropout.call

    def spy(layer, inputs, training=False):
        shapes.append(list(inputs.shape))
        return call(layer, inputs, training=training)

    monkeypatch.setattr(layers.Dropout, "call", spy)
    layers.MultiHeadAttention(2, 8, dropout=0.5)(x[:4], x[:4], training=True)
    claim.exact("shapes", shapes, [[4, 2, TOKENS, TOKENS]])


def test_a_dropped_link_takes_all_features_along(claim):
    """A link is dropped for all features at once: what a token hears from another is there in full, doubled, or not at
    all."""
    layer = layers.MultiHeadAttention(1, 8, dropout=0.5, use_bias=False)
    alone = np.zeros((200, TOKENS, WIDTH), "float32")
    alone[:, 0] = x[:200, 0]  # one token says something, the others say zero
    on, off = (numpy(layer(x[:200], alone, x[:200], training=training)) for training in (True, False))
    scale = on / off
    claim.close("features_of_a_link_agree", np.abs(scale - scale[..., :1]).max(), 0, 1e-2)
    claim.share("links_dropped", on[..., 0] == 0, 0.5)


def test_it_can_be_seeded(claim):
    """With a `seed` a second layer of the same weights repeats the outputs of the first, call by call; without
    dropout nothing is random."""
    first, second = (layers.MultiHeadAttention(2, 8, dropout=0.5, seed=1) for _ in range(2))
    calls = [numpy(first(x, x, training=True)) for _ in range(2)]
    second.build(x.shape, x.shape)
    second.set_weights(first.get_weights())
    again = [numpy(second(x, x, training=True)) for _ in range(2)]
    claim.exact("calls_differ", bool(np.abs(calls[0] - calls[1]).max() > 0.01), True)
    claim.close("difference", max(np.abs(a - b).max() for a, b in zip(calls, again, strict=True)), 0, 1e-5)
    plain = layers.MultiHeadAttention(2, 8)
    calls = [numpy(plain(x, x, training=True)) for _ in range(2)]
    claim.close("difference_without", np.abs(calls[0] - calls[1]).max(), 0, 1e-5)


def test_the_returned_scores_are_those_before(claim):
    """In training `return_attention_scores=True` of MultiHeadAttention returns the weights before dropout, which sum to
    one; the older layer `Attention` returns them after, with a share of {share_after:.2f} at zero."""
    layer = layers.MultiHeadAttention(2, 8, dropout=0.5)
    _, scores = layer(x, x, return_attention_scores=True, training=True)
    claim.close("largest_difference_from_one", np.abs(numpy(scores).sum(axis=-1) - 1).max(), 0, 1e-5)
    _, scores = layers.Attention(dropout=0.5)([x, x], return_attention_scores=True, training=True)
    claim.share("share_after", numpy(scores) == 0, 0.5)


def test_dropout_gives_up_the_fused_kernel_at_inference_too(claim, fused):
    """With a rate above zero MultiHeadAttention never calls the backend's fused attention, not in `predict` either:
    {with_dropout} calls, where the layer without dropout makes {without_dropout}. The predictions agree."""
    slow = attending(dropout=0.1)
    fast = attending()
    fast.set_weights(slow.get_weights())
    fused.clear()
    a = numpy(slow(x))
    claim.exact("with_dropout", len(fused), 0)
    b = numpy(fast(x))
    claim.exact("without_dropout", len(fused), 1)
    claim.close("difference", np.abs(a - b).max(), 0, 1e-5)


def test_a_copy_with_rate_zero_gets_it_back(claim, fused):
    """`for_inference` makes a copy with a rate of zero and the same weights, of nested models too: it predicts the same,
    through the backend's one call for attention."""
    inputs = keras.Input(x.shape[1:])
    model = keras.Model(inputs, attending(dropout=0.1)(inputs))
    twin = for_inference(model)
    fused.clear()
    difference = np.abs(numpy(model(x)) - numpy(twin(x))).max()
    claim.close("difference", difference, 0, 1e-5)
    claim.exact("fused_calls", len(fused), 1)


def test_the_rate_cannot_be_set_afterwards(claim):
    """`layer.dropout = 0.1` is refused: the property has no setter."""
    with pytest.raises(AttributeError):
        layers.MultiHeadAttention(2, 8, dropout=0.5).dropout = 0.1
    claim.exact("refused", True, True)


def test_flash_attention_and_dropout_exclude_each_other(claim):
    """Flash attention asked for together with dropout is refused: “{message}”"""
    with pytest.raises(ValueError) as error:
        layers.MultiHeadAttention(2, 8, dropout=0.1, flash_attention=True)
    message = str(error.value).partition(". ")[0] + "."
    claim.exact("message", message, "Dropout is not supported when flash attention is enabled.")


def test_it_is_no_residual_dropout(claim, program):
    """The wrong twin: `MultiHeadAttention(dropout=0.5)` sets no feature of its output to zero; a `Dropout(0.5)` behind
    it sets a share of {residual:.2f} to zero."""
    twin = program("attention_wrong")
    claim.exact("instead", float((numpy(twin["instead"]) == 0).mean()), 0.0)
    claim.share("residual", numpy(twin["residual"]) == 0, 0.5)
