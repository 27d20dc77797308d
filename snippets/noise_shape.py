"""What each 1 in `noise_shape` shares: one draw for all samples, all steps or all features."""

import keras
import numpy as np
from keras import layers

ones = np.ones((64, 10, 16), "float32")  # `(batch, steps, features)`

SHAPES = {
    "single values": None,
    "features, for all steps": (None, 1, None),  # SpatialDropout1D
    "steps, with all features": (None, None, 1),
    "whole samples": (None, 1, 1),
    "the same values in every sample": (1, None, None),
}


class PairedDropout(layers.Layer):  # two branches, one mask
    def __init__(self, rate, **options):
        super().__init__(**options)
        self.dropout = layers.Dropout(rate, noise_shape=(None, 1, None))

    def call(self, first, second, training=False):  # `(batch, features)` each
        both = keras.ops.stack([first, second], axis=1)
        both = self.dropout(both, training=training)
        return both[:, 0], both[:, 1]


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    print(f"{'drops':33}{'noise_shape':20}same for all samples, steps, features")
    #> drops                            noise_shape         same for all samples, steps, features
    for what, shape in SHAPES.items():
        layer = layers.Dropout(0.5, noise_shape=shape)
        mask = keras.ops.convert_to_numpy(layer(ones, training=True)) == 0
        shared = [bool((mask == mask.take([0], axis)).all()) for axis in range(3)]
        print(f"{what:33}{shape!s:20}" + " ".join(f"{s!s:5}" for s in shared).rstrip())
        #> single values                    None                False False False
        #> features, for all steps          (None, 1, None)     False True  False
        #> steps, with all features         (None, None, 1)     False False True
        #> whole samples                    (None, 1, 1)        False True  True
        #> the same values in every sample  (1, None, None)     True  False False

    shared, paired = layers.Dropout(0.5), PairedDropout(0.5)
    x = ones[:, 0]
    for name, (a, b) in {
        "one layer, called twice": (shared(x, training=True), shared(x, training=True)),
        "PairedDropout": paired(x, x, training=True),
    }.items():
        a, b = keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b)
        print(f"{name}, the branches agree:", bool(((a == 0) == (b == 0)).all()))
        #> one layer, called twice, the branches agree: False
        #> PairedDropout, the branches agree: True
