"""Should dropout go into the fully connected layers, the convolutional layers, or both?"""

from itertools import product

import keras
import numpy as np
import pytest
from conv_layers_dropblock import DropBlock2D, gamma, realised_rate
from conv_layers_replicas import Convolution, cnn
from conv_layers_swiss_cheese import kept_by, photo, predictability
from fair_comparison import at_once, batches, dense, digits, evaluate
from keras import layers
from sklearn.datasets import load_sample_image

numpy = keras.ops.convert_to_numpy
PHOTOS = ("china.jpg", "flower.jpg")
MASKS = 5


class WeightedPooling(layers.Layer):
    """Max pooling in training, its mean behind `Dropout(rate)` at inference: Wu and Gu (2015)."""

    def __init__(self, rate):
        super().__init__()
        self.rate = rate

    def call(self, x, training=False):
        if training:
            return keras.ops.max_pool(x, 2, 2, data_format="channels_last")  # JAX fails without strides
        # the largest of four stays with probability 1 − r, the second is next with r(1 − r), and so on
        four = keras.ops.stack([x[:, i::2, j::2] for i, j in product((0, 1), (0, 1))], axis=-1)
        weights = keras.ops.convert_to_tensor(self.rate ** np.array([3.0, 2, 1, 0], "float32"))
        return keras.ops.sum(keras.ops.sort(four, axis=-1) * weights, axis=-1)


ARMS = {
    "none": {},
    "head": {"head": 0.5},
    "conv": {"front": lambda: layers.Dropout(0.2)},
    "spatial": {"front": lambda: layers.SpatialDropout2D(0.2)},
    "dropblock": {"front": lambda: DropBlock2D(0.2, 3)},
    "behind": {"behind": lambda: layers.Dropout(0.2)},
    "both": {"behind": lambda: layers.Dropout(0.2), "head": 0.5},
    "half": {"front": lambda: layers.Dropout(0.5)},
    "half_behind": {"behind": lambda: layers.Dropout(0.5)},
    "half_weighted": {"front": lambda: layers.Dropout(0.5), "pool": lambda size: WeightedPooling(0.5)},
}
PLACES = ("none", "head", "conv", "spatial", "dropblock", "behind", "both")
POOLING = ("half", "half_behind", "half_weighted")


def train(data, epochs, arms):
    """Accuracy and loss of each arm, each `(replicas,)`."""
    replicas = data[1].shape[1]
    return {arm: evaluate(lambda a=arm: cnn(replicas, **ARMS[a]), data, epochs) for arm in arms}


@pytest.fixture(scope="module")
def noisy(study):
    """Each place, and Dropout(0.5) around the pooling, on 300 digits of whose labels 30 % are random."""
    data = digits(300, 3 if study.short else 8, noise=0.3)
    return train(data, 90, ("none", "half") if study.short else PLACES + POOLING)


@pytest.fixture(scope="module")
def clean(study):
    """The same on 200 clean digits."""
    data = digits(200, 3 if study.short else 16)
    return train(data, 60, ("conv", "behind") if study.short else PLACES + POOLING)


# ------------------------------------------------------------------------------------------- Swiss cheese


@pytest.mark.parametrize("name", PHOTOS)
def test_a_dropped_pixel_is_predicted_from_its_neighbours(claim, name):
    """On a photo, what `Dropout(0.5)` takes is still there: the mean of the neighbours that stay predicts a dropped
    pixel with an R² of {china.interval:.3f} on one photo and {flower.interval:.3f} on another, over {china.n} masks. At
    a rate of 0.9 it is still {china_9.interval:.3f} and {flower_9.interval:.3f}."""
    keras.utils.set_random_seed(0)
    picture, short = photo(name), name.split(".")[0]
    for rate, value in ((0.5, short), (0.9, f"{short}_9")):
        masks = [kept_by(layers.Dropout(rate), picture) for _ in range(MASKS)]
        claim.trained(value, np.array([predictability(picture, kept) for kept in masks]), above=0.8, below=1)


def test_shuffled_pixels_are_not_predicted_by_their_neighbours(claim):
    """It is the place that says it: once the same pixels are shuffled, their neighbours predict a dropped one
    worse than the mean of all does, with an R² of {shuffled.interval:.2f}."""
    keras.utils.set_random_seed(0)
    rng, picture = np.random.default_rng(0), photo()
    values = []
    for _ in range(MASKS):
        shuffled = rng.permutation(picture.ravel()).reshape(picture.shape)
        values.append(predictability(shuffled, kept_by(layers.Dropout(0.5), picture)))
    claim.trained("shuffled", np.array(values), below=0)


def test_blocks_hide_more_of_the_photo(claim):
    """Larger blocks hide more: at a rate of 0.25, on the photo at half its resolution, the R² of the dropped pixels is
    {block_1.interval:.2f} for single pixels, {block_7.interval:.2f} for blocks of 7 and {block_31.interval:.2f} for blocks of 31 pixels."""
    keras.utils.set_random_seed(0)
    picture, values = photo(step=2), {}
    for size in (1, 7, 31):
        masks = [kept_by(DropBlock2D(0.25, size), picture) for _ in range(20)]  # few blocks, so more masks
        values[size] = np.array([predictability(picture, kept) for kept in masks])
        claim.trained(f"block_{size}", values[size], above=0.5)
    claim.trained("lost_by_7", values[1] - values[7], above=0)
    claim.trained("lost_by_31", values[7] - values[31], above=0)


def tiles(image, size=16):
    rows, columns = (n // size for n in image.shape[:2])
    image = image[: rows * size, : columns * size].reshape(rows, size, columns, size, 3)
    return image.swapaxes(1, 2).reshape(-1, size, size, 3)


@pytest.fixture(scope="module")
def depths():
    """R² of the values that Dropout(0.5) takes from each map of three convolutions, in sixteen trained networks."""
    halves = [load_sample_image(name)[:426].reshape(213, 2, 320, 2, 3).mean((1, 3)) / 255 for name in PHOTOS]
    x = np.concatenate([tiles(image[:, :160]) for image in halves])
    y = np.repeat([0, 1], len(x) // 2)
    unseen, found, accuracy = halves[0][None, :, 160:], [], []
    for seed in range(16):
        keras.utils.set_random_seed(seed)
        convolutions = [layers.Conv2D(n, 3, padding="same", activation="relu") for n in (16, 32, 64)]
        h, maps = keras.Input((None, None, 3)), []
        inputs = h
        for convolution in convolutions:
            h = convolution(layers.MaxPooling2D()(h) if maps else h)
            maps.append(h)
        model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(h)))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(2e-3), loss, steps_per_execution=at_once(9))
        model.fit(batches(x, y, 9, 0), steps_per_epoch=9, epochs=15, verbose=0)
        other = [tiles(image[:, 160:]) for image in halves]
        right = [model.predict(o, verbose=0).argmax(1) == label for label, o in enumerate(other)]
        accuracy.append(100 * np.mean(right))
        found.append([])
        for values in keras.Model(inputs, maps)(unseen):
            values = numpy(values)[0].astype("float64")
            kept = kept_by(layers.Dropout(0.5), values[..., 0])
            alive = [m for m in np.moveaxis(values, -1, 0) if m.std() > 1e-3 * values.std()]
            # a map that is constant where it was dropped has no R²
            found[-1].append(np.nanmedian([predictability(m, kept) for m in alive]))
    return np.array(found).T, np.array(accuracy)


def test_feature_maps_are_predictable_too_the_deeper_the_more(claim, depths):
    """In a CNN trained to tell the two photos apart, the median feature map gives back what `Dropout(0.5)` takes with
    an R² of {first.interval:.2f} behind the first convolution and {third.interval:.2f} behind the third, over {first.n}
    trained networks."""
    (first, second, third), accuracy = depths
    claim.trained("first", first, above=0)
    claim.trained("second", second, above=0)
    claim.trained("third", third, above=0.5)
    claim.trained("deeper", third - first, above=0)
    claim.trained("tells_photos_apart", accuracy, above=75)


def test_dense_units_are_redundant_as_well_but_not_by_place(claim):
    """Dense units are redundant too, but not by place: a unit of Dense(128) is predicted from its two neighbours with
    an R² of {neighbours.interval:.2f}, from all other units with {others.interval:.2f}, and from those that
    `Dropout(0.5)` leaves with {left.interval:.2f}, on digits that were not used for the fit."""
    replicas = 4
    x_train, y_train, x, _ = digits(500, replicas)
    keras.utils.set_random_seed(0)
    hidden = dense(replicas, 128, "relu")
    model = keras.Sequential([keras.Input((replicas, 64)), hidden, dense(replicas, 10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, loss_weights=float(replicas), steps_per_execution=at_once(16))
    model.fit(batches(x_train, y_train, 16, 0), steps_per_epoch=16, epochs=40, verbose=0)
    rng, found = np.random.default_rng(0), []
    for units in np.moveaxis(numpy(hidden(x)), 1, 0).astype("float64"):
        units = units[:, np.mean(units > 0, axis=0) > 0.05]  # a unit that is hardly ever active cannot be fitted
        units = (units - units.mean(0)) / units.std(0)
        beside = (np.roll(units, 1, 1) + np.roll(units, -1, 1)) / 2
        masked = units * (rng.random(units.shape) < 0.5) * 2
        found.append((1 - np.mean((units - beside) ** 2), *(np.median([*held_out(units, f)]) for f in (units, masked))))
    neighbours, others, left = np.array(found).T
    claim.trained("neighbours", neighbours, below=0)
    claim.trained("others", others, above=0.8)
    claim.trained("left", left, above=0.3, below=1)


def held_out(units, features):
    """R² of each of 32 units, predicted linearly from the features of all others."""
    half = len(units) // 2
    for unit in range(32):
        rest = np.delete(features, unit, axis=1)
        weights = np.linalg.lstsq(rest[:half], units[:half, unit], rcond=None)[0]
        yield 1 - np.mean((units[half:, unit] - rest[half:] @ weights) ** 2) / units[half:, unit].var()


# ---------------------------------------------------------------------------------------------- DropBlock


def covering(places, size):
    """For each place of a row, how many blocks that fit into the row cover it."""
    return [sum(start <= place < start + size for start in range(places - size + 1)) for place in range(places)]


@pytest.mark.parametrize(("rate", "size"), [(0.25, 1), (0.25, 7), (0.5, 7)])
def test_dropblock_drops_less_than_its_rate(claim, rate, size):
    """DropBlock drops less than its rate, since blocks overlap: on maps of 28×28 and with blocks of 7, a rate of 0.25
    drops a share of {share_25_7:.3f} and one of 0.5 a share of {share_50_7:.3f}, where arithmetic expects
    {exact_25_7:.4f} and {exact_50_7:.4f}."""
    keras.utils.set_random_seed(0)
    ones = np.ones((100, 28, 28, 30), "float32")
    shares = np.mean(numpy(DropBlock2D(rate, size)(ones, training=True)) == 0, axis=(1, 2))
    rows, start = covering(28, size), gamma(rate, size, 28, 28)
    expected = 1 - np.mean([(1 - start) ** (i * j) for i, j in product(rows, rows)])
    name = f"{100 * rate:.0f}_{size}"
    claim.close(f"exact_{name}", realised_rate(rate, size, 28, 28), expected, 1e-12)
    # maps are independent of one another, the values of a map are not
    claim.sampled(f"share_{name}", shares.mean(), expected, shares.std() / shares.size**0.5, shares.size)


def test_the_realised_rate_is_exact(claim):
    """The formula for the realised rate is exact: on a map of 3×4 with blocks of 2, all {outcomes} ways in which the
    blocks can start have a mean share of {enumerated:.6f} dropped, weighted by their probabilities."""
    start, total, outcomes = gamma(0.3, 2, 3, 4), 0, 0
    for starts in product((0, 1), repeat=6):
        dropped = np.zeros((3, 4), bool)
        for k in np.flatnonzero(starts):
            dropped[k // 3 : k // 3 + 2, k % 3 : k % 3 + 2] = True
        total += start ** sum(starts) * (1 - start) ** (6 - sum(starts)) * dropped.mean()
        outcomes += 1
    claim.exact("outcomes", outcomes, 64)
    claim.close("enumerated", total, realised_rate(0.3, 2, 3, 4), 1e-12)


@pytest.mark.parametrize(("size", "height", "width"), [(3, 8, 8), (7, 28, 28), (5, 9, 14)])
def test_the_papers_gamma_counts_overlaps_twice(claim, size, height, width):
    """The paper's γ counts each value as often as blocks cover it: by that count the share dropped is the rate itself,
    {counted_7:.2f}, and not one value less."""
    covers = np.outer(covering(height, size), covering(width, size))
    claim.close(f"counted_{size}", np.mean(gamma(0.25, size, height, width) * covers), 0.25, 1e-12)
    claim.exact(f"falls_short_{size}", bool(realised_rate(0.25, size, height, width) < 0.25), True)


def test_dropblock_drops_whole_squares_and_keeps_the_mean(claim):
    """Each value that DropBlock drops lies in a dropped square of the block's size, what stays is scaled so that the
    mean of the batch is the same, and at inference nothing changes."""
    keras.utils.set_random_seed(0)
    x = np.ones((20, 14, 14, 8), "float32")
    layer = DropBlock2D(0.2, 3)
    y = numpy(layer(x, training=True))
    windows = np.lib.stride_tricks.sliding_window_view(y == 0, (3, 3), axis=(1, 2)).all(axis=(-2, -1))
    in_a_square = np.zeros(y.shape, bool)
    for i, j in product(range(3), range(3)):
        in_a_square[:, i : i + 12, j : j + 12] |= windows
    claim.exact("dropped_outside_squares", int(((y == 0) & ~in_a_square).sum()), 0)
    claim.exact("squares", bool((y == 0).any()), True)
    claim.close("mean", y.mean(dtype="float64"), 1, 1e-5)
    claim.exact("same_at_inference", np.array_equal(numpy(layer(x)), x), True)
    copy = DropBlock2D.from_config(layer.get_config())
    claim.exact("configuration", (copy.rate, copy.block_size), (0.2, 3))


def test_a_block_as_large_as_the_map_drops_all_or_nothing(claim):
    """A block as large as the map makes DropBlock all or nothing, as SpatialDropout2D is: of maps of 7×7, a rate of 0.1
    drops a share of {whole:.3f} as a whole and none in part."""
    keras.utils.set_random_seed(0)
    y = numpy(DropBlock2D(0.1, 7)(np.ones((500, 7, 7, 20), "float32"), training=True))
    dropped = np.mean(y == 0, axis=(1, 2))
    claim.exact("in_part", int(((dropped > 0) & (dropped < 1)).sum()), 0)
    claim.share("whole", dropped == 1, 0.1)


# ------------------------------------------------------------------------------------------------ pooling


def test_dropout_in_front_of_max_pooling_shifts_the_mean(claim, program):
    """The wrong twin: on a map whose neighbours are alike, `Dropout(0.5)` in front of MaxPooling2D makes the mean in
    training {ratio_front:.3f} times that of inference, since one of four often stays and is doubled; behind it,
    {ratio_behind:.3f} times."""
    twin = program("conv_layers_wrong")
    n = numpy(twin["front"]).size
    survives = (1 - 0.5**4, 0.5)
    for name, p in zip(("front", "behind"), survives, strict=True):
        # each pooled value is 2 with probability p, else 0, and 1 at inference
        claim.sampled(f"ratio_{name}", numpy(twin[name]).mean(), 2 * p, 2 * (p * (1 - p) / n) ** 0.5, n)


def test_spatial_dropout_and_max_pooling_commute(claim):
    """SpatialDropout2D drops the same in front of MaxPooling2D as behind it, to the last bit, and elementwise Dropout
    does not."""
    x = np.random.default_rng(0).random((10, 8, 8, 16), dtype="float32")
    pool = layers.MaxPooling2D()
    front, behind = (layers.SpatialDropout2D(0.5, seed=1) for _ in range(2))
    same = np.array_equal(numpy(pool(front(x, training=True))), numpy(behind(pool(x), training=True)))
    claim.exact("same", same, True)
    keras.utils.set_random_seed(0)
    means = [numpy(y).mean() for y in (pool(layers.Dropout(0.5)(x, training=True)), pool(x))]
    claim.exact("elementwise_is_larger", bool(means[0] > 1.1 * means[1]), True)


# --------------------------------------------------------------------------------------------- trained CNNs


def test_a_replica_computes_what_conv2d_computes(claim):
    """Each replica of the CNN computes what Keras' Conv2D does with the same kernel: their outputs differ by less than
    0.00001."""
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).random((3 * 5, 8, 8, 4), dtype="float32")
    together = Convolution(3, 6)
    y = numpy(together(x)).reshape(3, 5, 8, 8, 6)
    alone = layers.Conv2D(6, 3, padding="same", activation="relu")
    alone.build((None, 8, 8, 4))
    alone.set_weights([numpy(together.kernel)[1].reshape(3, 3, 4, 6), numpy(together.bias)[1, 0]])
    claim.close("largest_difference", np.abs(y[1] - numpy(alone(x[5:10]))).max(), 0, 1e-5)


def test_all_kinds_start_from_the_same_weights(claim):
    """All kinds of the CNN start from the same split and the same weights: before the first epoch, their test losses
    are equal."""
    arms = ("none", "head", "conv", "spatial", "dropblock", "behind")
    losses = {arm: loss for arm, (_, loss) in train(digits(100, 2), 0, arms).items()}
    claim.exact("different", [arm for arm in arms if not np.array_equal(losses[arm], losses["none"])], [])


@pytest.mark.study
def test_with_wrong_labels_every_place_pays(claim, noisy):
    """With 300 digits and 30 % random labels every place pays, over {head_noisy.n} pairs: `Dropout(0.5)` in the head
    gains {head_noisy.interval:+.1f} percentage points, `Dropout(0.2)` behind both poolings
    {behind_noisy.interval:+.1f}, and both together {both_noisy.interval:+.1f}. At the same rate, SpatialDropout2D in
    front of the poolings gains {spatial_noisy.interval:+.1f}, DropBlock {dropblock_noisy.interval:+.1f} and elementwise
    Dropout {conv_noisy.interval:+.1f}."""
    none = noisy["none"]
    claim.trained("none_noisy_level", none[0], above=50)
    for arm in [arm for arm in PLACES[1:] if arm in noisy]:
        claim.trained(f"{arm}_noisy", noisy[arm][0] - none[0], above=0)
        # not all that gain accuracy are sure to lower the loss
        claim.trained(f"{arm}_noisy_loss", noisy[arm][1] - none[1], below=0.1 if arm in ("conv", "both") else 0)
    if "both" in noisy:
        claim.trained("both_over_head", noisy["both"][0] - noisy["head"][0], above=0)
        claim.trained("both_over_behind", noisy["both"][0] - noisy["behind"][0], above=0)
        claim.trained("dropblock_over_conv", noisy["dropblock"][0] - noisy["conv"][0], above=0)
        claim.trained("dropblock_over_conv_loss", noisy["dropblock"][1] - noisy["conv"][1], below=0)
        claim.trained("spatial_over_conv", noisy["spatial"][0] - noisy["conv"][0], above=-3, below=2)
        claim.trained("spatial_over_conv_loss", noisy["spatial"][1] - noisy["conv"][1], below=0)
        claim.trained("behind_over_conv", noisy["behind"][0] - noisy["conv"][0], above=0)
        claim.trained("behind_over_conv_loss", noisy["behind"][1] - noisy["conv"][1], below=0)


@pytest.mark.study
def test_on_clean_digits_no_place_pays(claim, clean):
    """On 200 clean digits no place gains a point, over {head_clean.n} pairs: the head changes accuracy by
    {head_clean.interval:+.1f} percentage points, `Dropout(0.2)` behind both poolings by {behind_clean.interval:+.1f},
    both by {both_clean.interval:+.1f}; in front of the poolings, elementwise Dropout by {conv_clean.interval:+.1f},
    SpatialDropout2D by {spatial_clean.interval:+.1f} and DropBlock by {dropblock_clean.interval:+.1f}."""
    claim.trained("behind_over_conv_clean", clean["behind"][0] - clean["conv"][0], below=2)
    for arm in PLACES[1:] if "none" in clean else ():
        claim.trained(f"{arm}_clean", clean[arm][0] - clean["none"][0], below=1)
        claim.trained(f"{arm}_clean_loss", clean[arm][1] - clean["none"][1], above=-0.05)


@pytest.mark.study
def test_max_pooling_behind_dropout_costs_likelihood(claim, noisy):
    """With wrong labels, `Dropout(0.5)` in front of the max poolings gains {half.interval:+.1f} percentage points, and
    changes the test loss by {half_loss.interval:+.2f}. Moving it behind them lowers the loss by {moved.interval:.2f}.
    With Dropout left in front, a pooling that puts out at inference the mean of what it put out in training changes it
    by {weighted.interval:+.2f}, and nothing else was changed: the pooling costs it, not the convolution."""
    loss = {arm: result[1] for arm, result in noisy.items()}
    claim.trained("half", noisy["half"][0] - noisy["none"][0], above=0)
    claim.trained("half_loss", loss["half"] - loss["none"], above=0)
    if "half_behind" in loss:
        claim.trained("moved", loss["half"] - loss["half_behind"], above=0)
        claim.trained("weighted", loss["half_weighted"] - loss["half"], below=0)


@pytest.mark.study
def test_on_clean_digits_dropout_behind_the_pooling_buys_nothing_at_a_half(claim, clean):
    """Behind the pooling the same rate takes more away: on 200 clean digits, moving `Dropout(0.5)` there changes the loss by
    {moved_clean.interval:+.2f}, while the weighted pooling lowers it by {weighted_clean.interval:.2f}; moving `Dropout(0.2)` changes it by {moved_clean_2.interval:+.3f}."""
    loss = {arm: result[1] for arm, result in clean.items()}
    claim.trained("moved_clean_2", loss["behind"] - loss["conv"], above=-0.1, below=0.1)
    if "half" in loss:
        claim.trained("moved_clean", loss["half_behind"] - loss["half"], above=-0.1, below=0.3)
        claim.trained("weighted_clean", loss["half"] - loss["half_weighted"], above=0)
