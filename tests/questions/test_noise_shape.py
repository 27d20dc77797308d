"""What does noise_shape do, and what does each 1 in it mean?"""

import keras
import numpy as np
import pytest
from keras import layers
from noise_shape import PairedDropout

numpy = keras.ops.convert_to_numpy
ones = np.ones((200, 12, 16), "float32")
KINDS = {  # name → noise_shape, which of samples, steps and features share a draw
    "values": (None, (False, False, False)),
    "features": ((None, 1, None), (False, True, False)),
    "steps": ((None, None, 1), (False, False, True)),
    "samples": ((None, 1, 1), (False, True, True)),
    "batch": ((1, None, None), (True, False, False)),
    "written_out": ((200, 1, 16), (False, True, False)),
}


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


def zeros(layer, x=ones):
    return numpy(layer(x, training=True)) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_one_shares_one_draw_along_its_axis(claim, kind):
    """A `1` in `noise_shape` makes one draw count for its whole axis; `None` takes the size of the input. On
    `(batch, steps, features)` the shape `(None, 1, None)` drops features for all steps, `(None, None, 1)` whole steps,
    `(None, 1, 1)` whole samples, and `(1, None, None)` the same values in every sample."""
    shape, wanted = KINDS[kind]
    mask = zeros(layers.Dropout(0.5, noise_shape=shape))
    claim.exact(f"shared_{kind}", [bool((mask == mask.take([0], axis)).all()) for axis in range(3)], wanted)
    drawn = mask[tuple(slice(0, 1) if shared else slice(None) for shared in wanted)]
    claim.share(f"share_{kind}", drawn, 0.5)


def test_the_share_and_the_scale_stay(claim):
    """Sharing changes neither the rate nor the scale: with `noise_shape=(None, 1, None)` a share of {share:.2f} is
    dropped at rate `0.3`, and what stays is multiplied by {scale:.2f}."""
    out = numpy(layers.Dropout(0.3, noise_shape=(None, 1, None))(ones, training=True))
    claim.share("share", out[:, 0] == 0, 0.3)
    claim.close("scale", out.max(), 1 / 0.7, 1e-5)


def test_shared_masks_take_whole_features_away(claim):
    """At rate `0.5` a shared mask takes a feature away for all 12 steps with probability {shared:.2f}; with a draw for
    each value this happens with probability {separate.expected:.5f} by arithmetic, and here in a share of {separate:.5f}."""
    gone = zeros(layers.Dropout(0.5, noise_shape=(None, 1, None))).all(axis=1)
    claim.share("shared", gone, 0.5)
    gone = zeros(layers.Dropout(0.5)).all(axis=1)
    claim.share("separate", gone, 0.5**12)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_spatial_dropout_is_a_noise_shape(claim, axes):
    """`SpatialDropout1D`, `2D` and `3D` are `Dropout` with a `1` for each axis of space, value for value under the same
    seed."""
    space = (6, 5, 4)[:axes]
    x = np.random.default_rng(0).normal(size=(20, *space, 8)).astype("float32")
    spatial = {1: layers.SpatialDropout1D, 2: layers.SpatialDropout2D, 3: layers.SpatialDropout3D}[axes]
    shape = (None, *(1 for _ in space), None)
    a = numpy(spatial(0.5, seed=1)(x, training=True))
    b = numpy(layers.Dropout(0.5, noise_shape=shape, seed=1)(x, training=True))
    claim.exact(f"difference_{axes}d", float(np.abs(a - b).max()), 0.0)
    claim.exact(f"whole_maps_{axes}d", bool(((a == 0).reshape(20, -1, 8).std(axis=1) == 0).all()), True)


def test_with_channels_first_the_ones_move(claim):
    """With `data_format="channels_first"` the feature axis comes second: `SpatialDropout2D` is then
    `noise_shape=(None, None, 1, 1)`."""
    x = np.random.default_rng(0).normal(size=(20, 8, 6, 5)).astype("float32")
    a = numpy(layers.SpatialDropout2D(0.5, data_format="channels_first", seed=1)(x, training=True))
    b = numpy(layers.Dropout(0.5, noise_shape=(None, None, 1, 1), seed=1)(x, training=True))
    claim.exact("difference", float(np.abs(a - b).max()), 0.0)


def test_one_layer_called_twice_gives_two_masks(claim):
    """A Dropout shared by two branches draws for each of them, with a seed and with `noise_shape` too: the branches
    agree on a share of {plain:.2f} of the units, with a seed on {seed:.2f}."""
    x = np.ones((200, 64), "float32")
    for name, options in (("plain", {}), ("seed", {"seed": 1})):
        layer = layers.Dropout(0.5, **options)
        claim.share(name, zeros(layer, x) == zeros(layer, x), 0.5)
    layer = layers.Dropout(0.5, noise_shape=(1, None), seed=1)
    claim.exact("equal_with_noise_shape", bool((zeros(layer, x) == zeros(layer, x)).all()), False)


def test_stacking_gives_two_branches_one_mask(claim):
    """Two branches stacked on a new axis with a `1` in `noise_shape` get the same mask, and a new one in each call."""
    x, layer = np.ones((200, 64), "float32"), PairedDropout(0.5)
    masks = []
    for _ in range(2):
        a, b = (numpy(out) == 0 for out in layer(x, x, training=True))
        claim.exact(f"equal_{len(masks)}", bool((a == b).all()), True)
        masks.append(a)
    claim.share("share", masks[0], 0.5)
    claim.share("calls_agree", masks[0] == masks[1], 0.5)


def test_a_mask_of_ones_serves_several_branches(claim):
    """Dropout of a tensor of ones is a mask that can be multiplied into as many branches as you like."""
    x = keras.ops.ones((200, 64))
    mask = layers.Dropout(0.5)(x, training=True)
    a, b = numpy(x * mask), numpy(3 * x * mask)
    claim.exact("equal", bool(((a == 0) == (b == 0)).all()), True)
    claim.share("share", a == 0, 0.5)


def test_two_layers_with_one_seed_agree_too(claim):
    """Two Dropout layers with the same seed also agree, call by call, as long as both see tensors of one shape and are
    called equally often."""
    x = np.ones((200, 64), "float32")
    first, second = layers.Dropout(0.5, seed=3), layers.Dropout(0.5, seed=3)
    claim.exact("equal", [bool((zeros(first, x) == zeros(second, x)).all()) for _ in range(2)], [True, True])
    zeros(first, x)  # one call more
    claim.exact("equal_after_an_odd_call", bool((zeros(first, x) == zeros(second, x)).all()), False)


@pytest.mark.parametrize(
    ("name", "shape"), [("text", "(None, 1)"), ("number", 8), ("zero", (None, 0, 8)), ("float", (None, 1.0, 8))]
)
def test_what_is_no_shape_is_refused(claim, name, shape):
    """A text, a single number, a zero and a float are refused when the layer is made."""
    with pytest.raises(ValueError, match="noise_shape"):
        layers.Dropout(0.5, noise_shape=shape)
    claim.exact(f"refused_{name}", True, True)


def test_a_shape_that_does_not_fit_is_found_at_the_call(claim):
    """A shape that cannot be stretched to the input, such as two draws for twelve steps, fails in the first training
    call, and never at inference."""
    layer = layers.Dropout(0.5, noise_shape=(None, 2, None))
    claim.exact("inference", bool((numpy(layer(ones)) == ones).all()), True)
    try:
        layer(ones, training=True)
        failed = False
    except Exception:  # each backend has its own
        failed = True
    claim.exact("failed", failed, True)


def test_a_written_batch_size_fails_in_the_last_batch(claim, program, capsys):
    """The wrong twin: with the batch size written into `noise_shape`, `fit` fails in a last batch that is smaller; with
    `None` it trains. And a `1` on the axis that you want to drop drops nothing whole."""
    program("noise_shape_wrong")
    printed = capsys.readouterr().out
    claim.exact("failed", "noise_shape=(32, 1, 8): fails in the last batch" in printed, True)
    claim.exact("trained", "noise_shape=(None, 1, None): trained" in printed, True)
    claim.exact("steps_dropped", "noise_shape=(None, 1, None): steps dropped whole 0.0" in printed, True)


@pytest.mark.only("jax", why="Flax is JAX's")
def test_flax_names_the_axes_that_share(claim):
    """In Flax `broadcast_dims=(1,)` shares a draw along the steps, as `noise_shape=(None, 1, None)` does: in every step the
    same features are zero, a share of {flax:.2f}."""
    import flax.linen as nn
    import jax

    drop = nn.Dropout(0.25, broadcast_dims=(1,), deterministic=False)
    zero = np.asarray(drop.apply({}, ones, rngs={"dropout": jax.random.key(0)})) == 0
    claim.exact("flax_shared", bool((zero == zero[:, :1]).all()), True)
    claim.share("flax", zero[:, 0], 0.25)
