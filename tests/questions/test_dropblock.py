"""What is DropBlock, where does it go, and how is it done for sequences?"""

import itertools

import keras
import numpy as np
import pytest
from conv_layers_dropblock import DropBlock2D, realised_rate
from dropblock import Rising, residual_block
from dropblock_1d import DropBlock1D, gamma_1d, realised_1d
from keras import ops

numpy = ops.convert_to_numpy
layers = keras.layers


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


def dropped(layer, *shape):
    return numpy(layer(np.ones(shape, "float32"), training=True)) == 0


def test_blocks_of_one_are_dropout(claim):
    """With blocks of 1 it is Dropout: a share of {single:.3f} is dropped at rate 0.25, and of the right-hand neighbours of
    a dropped value {beside:.3f}."""
    gone = dropped(DropBlock2D(0.25, 1), 100, 14, 14, 16)
    claim.share("single", gone, 0.25)
    claim.share("beside", gone[:, :, 1::2][gone[:, :, ::2]], 0.25)


def test_blocks_of_the_maps_size_are_spatial_dropout(claim):
    """With blocks as large as the map whole maps go, as with SpatialDropout2D, a share of {maps:.3f} at rate 0.25 and
    none in part."""
    share = dropped(DropBlock2D(0.25, 8), 200, 8, 8, 32).mean(axis=(1, 2))
    claim.exact("in_part", int(((share > 0) & (share < 1)).sum()), 0)
    claim.share("maps", share == 1, 0.25)


def test_a_convolution_cannot_fill_a_block(claim):
    """A 3×3 convolution sees the eight neighbours of a value. Of the values that Dropout drops at rate 0.25, a share of
    {dropout_blind:.5f} has lost all eight; of those that DropBlock drops with blocks of 7,
    {block_blind.interval:.2f}, over {block_blind.n} batches."""

    def blind(gone):
        inner = np.lib.stride_tricks.sliding_window_view(gone, (3, 3), axis=(1, 2)).all(axis=(-2, -1))
        return inner[gone[:, 1:-1, 1:-1]]

    claim.share("dropout_blind", blind(dropped(layers.Dropout(0.25), 100, 28, 28, 30)), 0.25**8)
    batches = [blind(dropped(DropBlock2D(0.25, 7), 10, 28, 28, 16)).mean() for _ in range(10)]
    claim.trained("block_blind", np.array(batches), above=0.5)


def test_the_paper_places_three_in_a_block(claim):
    """In a residual block whose skip connection has a convolution, the authors' places are {layers}: behind either
    convolution and on the skip connection. Each drops in training and none at inference."""
    x = keras.Input((14, 14, 8))
    model = keras.Model(x, residual_block(x, 16, rate=0.3, size=3))
    drops = [layer for layer in model.layers if isinstance(layer, DropBlock2D)]
    claim.exact("layers", len(drops), 3)
    inputs = np.random.default_rng(0).normal(size=(8, 14, 14, 8)).astype("float32")
    claim.exact("inference", np.array_equal(numpy(model(inputs)), numpy(model(inputs))), True)
    probe = keras.Model(x, [t for layer in drops for t in (layer.input, layer.output)])
    outputs = [numpy(t) for t in probe(inputs, training=True)]
    acts = [bool(np.any((after == 0) & (before != 0))) for before, after in zip(*[iter(outputs)] * 2, strict=True)]
    claim.exact("each_drops", acts, [True, True, True])


@pytest.fixture(scope="module")
def schedule():
    """The share that each of five epochs drops."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((28, 28, 30)), DropBlock2D(0.2, 3)])
    model.compile("sgd", lambda y, out: ops.mean(ops.cast(out == 0, "float32")))
    ones = np.ones((200, 28, 28, 30), "float32")
    return model.fit(ones, ones[:, 0, 0], epochs=5, callbacks=[Rising()], verbose=0).history["loss"]


@pytest.mark.parametrize("epoch", [1, 2, 3, 4])
def test_the_rate_rises_with_the_epochs(claim, schedule, epoch):
    """With the callback, five epochs of `fit` drop nothing, {epoch_1:.3f}, {epoch_2:.3f}, {epoch_3:.3f} and
    {epoch_4:.3f}, at a rate of 0.2 and blocks of 3."""
    rate = 0.2 * epoch / 4
    maps = dropped(DropBlock2D(rate, 3), 50, 28, 28, 30).mean(axis=(1, 2))  # maps are independent
    n = 200 * 30
    claim.sampled(f"epoch_{epoch}", schedule[epoch], realised_rate(rate, 3, 28, 28), maps.std() / n**0.5, n)
    claim.exact(f"first_with_{epoch}", schedule[0], 0.0)


@pytest.mark.only("tensorflow", "jax", why="PyTorch runs eagerly, and takes the new rate at once")
def test_without_compiling_again_the_rate_stays(claim):
    """A callback that only sets `layer.rate` changes nothing once the step is compiled: with 0.1 set for the first epoch
    and 0.5 for the others, the fifth drops {stuck:.2f}."""

    class Sets(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.layers[0].rate = 0.1 if epoch == 0 else 0.5

    model = keras.Sequential([keras.Input((14, 14, 30)), DropBlock2D(0.0, 1)])
    model.compile("sgd", lambda y, out: ops.mean(ops.cast(out == 0, "float32")))
    ones = np.ones((200, 14, 14, 30), "float32")
    shares = model.fit(ones, ones[:, 0, 0], epochs=5, callbacks=[Sets()], verbose=0).history["loss"]
    n = ones.size
    claim.sampled("stuck", shares[-1], 0.1, (0.1 * 0.9 / n) ** 0.5, n)


def test_keras_has_no_such_layer(claim):
    """Keras has no layer for it: {found} of its layers have “DropBlock” in their names."""
    claim.exact("found", sum("dropblock" in name.lower() for name in dir(layers)), 0)


def test_in_one_dimension_it_drops_what_arithmetic_says(claim):
    """On sequences of 200 steps with runs of 10 at rate 0.2, `DropBlock1D` drops {share_1d:.3f}, where arithmetic expects
    {share_1d.expected:.3f}, and keeps the mean at {mean_1d:.2f}."""
    y = numpy(DropBlock1D(0.2, 10)(np.ones((1000, 200, 16), "float32"), training=True))
    shares = (y == 0).mean(axis=1)
    expected = realised_1d(0.2, 10, 200).mean()
    claim.sampled("share_1d", shares.mean(), expected, shares.std() / shares.size**0.5, shares.size)
    claim.close("mean_1d", y.mean(dtype="float64"), 1, 1e-4)


def test_the_one_dimensional_formula_is_exact(claim):
    """The formula for it is exact: over all {outcomes} ways in which runs of 3 can start in 8 steps, the mean share
    dropped is {enumerated:.6f}."""
    start, total = gamma_1d(0.3, 3, 8), 0.0
    ways = list(itertools.product((0, 1), repeat=6))
    for starts in ways:
        gone = np.convolve(starts, np.ones(3)) > 0
        total += start ** sum(starts) * (1 - start) ** (6 - sum(starts)) * gone.mean()
    claim.exact("outcomes", len(ways), 64)
    claim.close("enumerated", total, realised_1d(0.3, 3, 8).mean(), 1e-12)


def test_it_drops_whole_runs(claim):
    """Every run that it drops is at least as long as the block, {shortest} steps here; with `shared=True` all channels
    lose the same steps."""
    gone = dropped(DropBlock1D(0.2, 5), 50, 60, 4)
    lengths = []
    for row in np.moveaxis(gone, 1, -1).reshape(-1, 60):
        lengths += [len(list(run)) for value, run in itertools.groupby(row) if value]
    claim.exact("shortest", min(lengths), 5)
    shared = dropped(DropBlock1D(0.2, 5, shared=True), 50, 60, 4)
    claim.exact("same_steps", bool((shared == shared[..., :1]).all()), True)


def test_the_padding_mask_passes(claim):
    """Keras' padding mask passes `DropBlock1D` unchanged, also in training."""

    class Behind(layers.Layer):
        def call(self, x, mask=None):
            self.heard = mask
            return x

    x, behind = layers.Embedding(9, 4, mask_zero=True)(np.array([[3, 5, 0, 0], [2, 0, 0, 0]])), Behind()
    behind(DropBlock1D(0.5, 2)(x, training=True))
    claim.exact("mask", numpy(behind.heard).tolist(), [[True, True, False, False], [True] + 3 * [False]])


def test_long_runs_hit_the_middle(claim):
    """Runs that are long against the sequence hit the middle: with runs of 10 in 20 steps at rate 0.3, a middle step goes
    in a share of {middle:.2f} of the cases and the first one in {first:.2f}, and in {nothing:.2f} of the sequences
    nothing goes at all."""
    gone = dropped(DropBlock1D(0.3, 10), 20_000, 20, 1)[..., 0]
    expected = realised_1d(0.3, 10, 20)
    claim.share("middle", gone[:, 10], expected[10])
    claim.share("first", gone[:, 0], expected[0])
    claim.share("nothing", ~gone.any(axis=1), (1 - gamma_1d(0.3, 10, 20)) ** 11)


def test_scaling_by_what_was_kept_keeps_the_mean_of_every_batch(claim):
    """Scaled by what was kept, the mean of a batch of ones is {block_mean:.3f} in each of 20 batches of 8 sequences;
    scaled by 1/(1 − rate), it would range over {spread.interval:.2f}."""
    kept = [1 - dropped(DropBlock1D(0.3, 10), 8, 50, 2).mean() for _ in range(20)]
    means = [numpy(DropBlock1D(0.3, 10)(np.ones((8, 50, 2), "float32"), training=True)).mean() for _ in range(20)]
    claim.close("block_mean", np.abs(np.array(means) - 1).max() + 1, 1, 1e-4)
    claim.trained("spread", np.abs(np.array(kept) / 0.7 - 1), above=0.01)


def test_the_square_left_in_drops_far_less(claim, program):
    """The wrong twin: with the rate divided by the square of the block, one-dimensional DropBlock meant to drop 0.25
    drops {runs_5:.3f} with runs of 5 and {runs_20:.3f} with runs of 20, and scales nothing."""
    for size, rows in program("dropblock_wrong")["rows"].items():
        runs = np.convolve(np.ones(200), np.ones(size), "same")  # that could cover each step
        expected = np.mean(1 - (1 - 0.25 / size**2) ** runs)
        claim.sampled(f"runs_{size}", rows.mean(), expected, rows.std() / rows.size**0.5, rows.size)
