"""Four kinds of dropout behind an Embedding layer, and what each of them takes away."""

import keras
import numpy as np
from keras import layers

WORDS, LENGTH, WIDTH = 50, 20, 32
ids = np.random.default_rng(0).integers(1, WORDS, size=(500, LENGTH)).astype("int32")


class WordTypeDropout(layers.Layer):  # a word goes everywhere in its sequence, or nowhere
    def __init__(self, words, rate, **options):
        super().__init__(**options)
        self.words, self.dropout, self.supports_masking = words, layers.Dropout(rate), True

    def call(self, vectors, ids, training=False):
        kept = keras.ops.ones((keras.ops.shape(ids)[0], self.words))
        kept = self.dropout(kept, training=training)  # one draw for each word of the vocabulary
        return vectors * keras.ops.take_along_axis(kept, ids, axis=1)[..., None]


def lost(vectors):
    """Shares of what is zero: values, whole words, whole dimensions of a sequence."""
    zero = keras.ops.convert_to_numpy(vectors) == 0  # `(batch, length, width)`
    return zero.mean(), zero.all(axis=2).mean(), zero.all(axis=1).mean()


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    vectors = layers.Embedding(WORDS, WIDTH)(ids)
    kinds = {
        "Dropout": layers.Dropout(0.5)(vectors, training=True),
        "SpatialDropout1D": layers.SpatialDropout1D(0.5)(vectors, training=True),
        "words": layers.Dropout(0.5, noise_shape=(None, None, 1))(vectors, training=True),
        "word types": WordTypeDropout(WORDS, 0.5)(vectors, keras.ops.array(ids), training=True),
    }
    print(f"{'':18}values words dimensions")
    #>                   values words dimensions
    for name, dropped in kinds.items():
        values, words, dimensions = lost(dropped)
        print(f"{name:18}{values:.1f}    {words:.1f}   {dimensions:.1f}")
        #> Dropout           0.5    0.0   0.0
        #> SpatialDropout1D  0.5    0.0   0.5
        #> words             0.5    0.5   0.0
        #> word types        0.5    0.5   0.0
