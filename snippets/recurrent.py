"""What each kind of dropout hides from a recurrent layer: its inputs, its memory, its outputs."""

import keras
import numpy as np
from keras import layers

SAMPLES, STEPS, WIDTH = 500, 20, 8
ones = np.ones((SAMPLES, STEPS, WIDTH), "float32")
impulse = np.zeros_like(ones)
impulse[:, 0] = 1


def transparent(layer, memory=0.0):
    """A linear recurrent layer that passes its inputs on and keeps its state times `memory`."""
    layer.build((None, STEPS, WIDTH))
    layer.set_weights([np.eye(WIDTH), memory * np.eye(WIDTH), np.zeros(WIDTH)])
    return layer


def simple(**rates):
    return layers.SimpleRNN(WIDTH, activation=None, return_sequences=True, **rates)


class FreshMasks(layers.SimpleRNNCell):  # another mask at every step, which Keras does not do
    def call(self, inputs, states, training=False):
        self.reset_recurrent_dropout_mask()
        return super().call(inputs, states, training=training)


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    seen = {
        "Dropout in front": transparent(simple())(layers.Dropout(0.5)(ones, training=True)),
        "SpatialDropout1D in front": transparent(simple())(
            layers.SpatialDropout1D(0.5)(ones, training=True)
        ),
        "the layer's dropout": transparent(simple(dropout=0.5))(ones, training=True),
    }
    for name, values in seen.items():
        zero = keras.ops.convert_to_numpy(values) == 0
        same = bool((zero == zero[:, :1]).all())
        print(f"{name:25} share {zero.mean():.1f}, same units at every step: {same}")
        #> Dropout in front          share 0.5, same units at every step: False
        #> SpatialDropout1D in front share 0.5, same units at every step: True
        #> the layer's dropout       share 0.5, same units at every step: True

    fresh = FreshMasks(WIDTH, activation=None, recurrent_dropout=0.1)
    fresh = layers.RNN(fresh, return_sequences=True, unroll=True)
    for name, layer in (("one mask", simple(recurrent_dropout=0.1)), ("fresh masks", fresh)):
        last = keras.ops.convert_to_numpy(transparent(layer, 1.0)(impulse, training=True))[:, -1]
        print(f"recurrent_dropout=0.1, {name}: remembered after 20 steps {(last != 0).mean():.1f}")
        #> recurrent_dropout=0.1, one mask: remembered after 20 steps 0.9
        #> recurrent_dropout=0.1, fresh masks: remembered after 20 steps 0.1
