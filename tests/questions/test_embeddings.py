"""Which dropout belongs behind an Embedding layer?"""

import warnings

import keras
import numpy as np
import pytest
from embeddings import LENGTH, WIDTH, WORDS, WordTypeDropout, ids
from keras import layers

numpy = keras.ops.convert_to_numpy
vectors = np.random.default_rng(0).normal(size=(500, LENGTH, WIDTH)).astype("float32")


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


def zeros(layer, *inputs):
    return numpy(layer(*inputs, training=True)) == 0


def mask_behind(*made):
    """The padding mask that arrives behind some layers on top of an Embedding with `mask_zero=True`."""
    seen = []

    class Probe(layers.Layer):
        def call(self, inputs, mask=None):
            seen.append(None if mask is None else numpy(mask).tolist())
            return inputs

    x = layers.Embedding(WORDS, 4, mask_zero=True)(np.array([[3, 5, 0, 0], [2, 0, 0, 0]]))
    for layer in (*made, Probe()):
        x = layer(x, training=True) if layer in made else layer(x)
    return seen[0]


PADDING = [[True, True, False, False], [True, False, False, False]]


def test_spatial_dropout_takes_dimensions_for_all_words(claim):
    """`SpatialDropout1D(0.5)` zeroes a share of {share:.2f} of the embedding's dimensions, the same ones for all words
    of a sequence; it removes {words} of the words."""
    zero = zeros(layers.SpatialDropout1D(0.5), vectors)
    claim.exact("same_for_all_words", bool((zero == zero[:, :1]).all()), True)
    claim.share("share", zero[:, 0], 0.5)
    claim.exact("words", int(zero.all(axis=2).sum()), 0)


def test_plain_dropout_takes_single_numbers(claim):
    """A plain `Dropout(0.5)` zeroes a share of {share:.2f} of the numbers, each by its own draw: two words agree on a
    share of {agree:.2f} of their dimensions."""
    zero = zeros(layers.Dropout(0.5), vectors)
    claim.share("share", zero, 0.5)
    claim.share("agree", zero[:, 0] == zero[:, 1], 0.5)


def test_a_noise_shape_takes_whole_words(claim):
    """`Dropout(0.5, noise_shape=(None, None, 1))` removes a share of {words:.2f} of the words, each whole, and doubles
    the vectors of the others."""
    out = numpy(layers.Dropout(0.5, noise_shape=(None, None, 1))(vectors, training=True))
    claim.share("words", (out == 0).all(axis=2), 0.5)
    claim.exact("words_with_holes", int(((out == 0).any(axis=2) & (out != 0).any(axis=2)).sum()), 0)
    kept = out[out != 0] / vectors[out != 0]
    claim.close("scale", np.abs(kept - 2).max() + 2, 2, 1e-5)


def test_word_types_go_everywhere_or_nowhere(claim):
    """`WordTypeDropout` removes a word everywhere in a sequence or nowhere: of {words} words that occur in a sequence it
    removes a share of {types:.2f}, and none in part. Dropping word by word removes {in_part:.2f} of the words that
    occur twice in part."""
    gone = zeros(WordTypeDropout(WORDS, 0.5), vectors, keras.ops.array(ids)).all(axis=2)
    separate = zeros(layers.Dropout(0.5, noise_shape=(None, None, 1)), vectors).all(axis=2)
    whole, in_part, types = [], [], []
    for sequence, a, b in zip(ids, gone, separate, strict=True):
        for word in np.unique(sequence):
            places = sequence == word
            types.append(a[places][0])
            whole.append(bool((a[places] == a[places][0]).all()))
            if places.sum() == 2:
                in_part.append(b[places][0] != b[places][1])
    claim.exact("words", len(types), sum(len(np.unique(sequence)) for sequence in ids))
    claim.exact("removed_whole", all(whole), True)
    claim.share("types", np.array(types), 0.5)
    claim.share("in_part", np.array(in_part), 0.5)


def test_before_an_average_single_numbers_hardly_matter(claim):
    """In front of an average over 20 equal words, a plain `Dropout(0.4)` leaves noise with a variance of
    {separate:.3f}, and `SpatialDropout1D(0.4)` of {shared:.2f}."""
    ones = np.ones((2000, LENGTH, WIDTH), "float32")
    for name, layer, expected in (
        ("separate", layers.Dropout(0.4), 0.4 / 0.6 / LENGTH),
        ("shared", layers.SpatialDropout1D(0.4), 0.4 / 0.6),
    ):
        squares = (numpy(layers.GlobalAveragePooling1D()(layer(ones, training=True))) - 1) ** 2
        claim.sampled(name, squares.mean(), expected, squares.std() / squares.size**0.5, squares.size)


def test_spatial_dropout_and_averaging_may_change_places(claim):
    """`SpatialDropout1D` in front of an average computes what `Dropout` computes behind it, under the same seed."""
    pool = layers.GlobalAveragePooling1D()
    before = pool(layers.SpatialDropout1D(0.5, seed=1)(vectors, training=True))
    after = layers.Dropout(0.5, seed=1)(pool(vectors), training=True)
    claim.close("difference", np.abs(numpy(before) - numpy(after)).max(), 0, 1e-5)


@pytest.mark.parametrize(
    "kind", [layers.Dropout, layers.SpatialDropout1D, layers.GaussianDropout, layers.GaussianNoise, layers.AlphaDropout]
)
def test_the_padding_mask_passes_unchanged(claim, kind):
    """Keras' padding mask passes Dropout, SpatialDropout1D, GaussianDropout, GaussianNoise and AlphaDropout
    unchanged."""
    claim.exact(f"mask_{kind.__name__}", mask_behind(kind(0.5)), PADDING)


def test_a_dropped_word_is_no_padding(claim):
    """A word that was dropped whole does not become padding: the mask stays what it was."""
    claim.exact("mask", mask_behind(layers.Dropout(0.99, noise_shape=(None, None, 1))), PADDING)


def test_a_masking_layer_behind_takes_dropped_steps_for_padding(claim):
    """A `Masking` layer *behind* the dropout of whole steps takes them for padding, a share of {masked:.2f}; in front of
    it none."""
    drop = layers.Dropout(0.5, noise_shape=(None, None, 1))
    behind = layers.Masking().compute_mask(drop(vectors, training=True))
    claim.share("masked", ~numpy(behind), 0.5)
    claim.exact("masked_in_front", int((~numpy(layers.Masking().compute_mask(vectors))).sum()), 0)


def test_a_layer_of_your_own_must_say_that_it_supports_masks(claim):
    """A layer of your own loses the mask, with a warning, unless it sets `supports_masking = True`."""

    class Noise(layers.Layer):
        def __init__(self, supports_masking):
            super().__init__()
            self.supports_masking = supports_masking
            self.seeds = keras.random.SeedGenerator()

        def call(self, inputs, training=False):
            return keras.random.dropout(inputs, 0.5, seed=self.seeds) if training else inputs

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        lost = mask_behind(Noise(False))
        claim.exact("warned", any("does not support masking" in str(w.message) for w in caught), True)
    claim.exact("lost_without", lost is None, True)
    claim.exact("with", mask_behind(Noise(True)), PADDING)


def test_on_the_sum_word_and_position_go_together(claim):
    """Dropout at rate `0.1` on the sum of embedding and position leaves a share of {neither:.2f} of the values with
    neither; on the embedding alone it leaves the same share, {position:.2f}, with the position only."""
    positions = np.random.default_rng(1).normal(size=(1, LENGTH, WIDTH)).astype("float32")
    claim.share("neither", zeros(layers.Dropout(0.1), vectors + positions), 0.1)
    alone = numpy(layers.Dropout(0.1)(vectors, training=True)) + positions
    claim.share("position", alone == positions, 0.1)


def test_on_the_ids_it_makes_other_words(claim, program):
    """The wrong twin: Dropout on the ids makes half of them padding and doubles the others, so that a share of
    {stayed:.1f} stays the word that it was, without an error."""
    dropped = program("embeddings_wrong")["dropped"]
    claim.exact("stayed", float((dropped == ids).mean()), 0.0)
    claim.share("padding", dropped == 0, 0.5)
    claim.exact("doubled", bool((dropped[dropped != 0] == 2 * ids[dropped != 0]).all()), True)
