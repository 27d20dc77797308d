"""What a seed fixes: the sequence of masks, not the mask. And one mask for a whole epoch."""

import keras
import numpy as np
from keras import layers

ones = np.ones((100, 200), "float32")


def mask(layer):
    return keras.ops.convert_to_numpy(layer(ones, training=True)) != 0


class EpochDropout(layers.Layer):  # drops the same units until it is told to draw again
    def __init__(self, rate, seed=None, **options):
        super().__init__(**options)
        self.rate, self.supports_masking = rate, True
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, shape):
        self.mask = self.add_weight(shape=shape[-1:], initializer="ones", trainable=False)

    def draw(self):
        kept = keras.ops.ones(self.mask.shape)
        self.mask.assign(keras.random.dropout(kept, self.rate, seed=self.seed_generator))

    def call(self, inputs, training=False):
        return inputs * self.mask if training else inputs


class DrawEachEpoch(keras.callbacks.Callback):  # model.fit(…, callbacks=[DrawEachEpoch()])
    def on_epoch_begin(self, epoch, logs=None):
        for layer in self.model.layers:
            if isinstance(layer, EpochDropout):
                layer.draw()


if __name__ == "__main__":
    layer, twin = layers.Dropout(0.5, seed=1), layers.Dropout(0.5, seed=1)
    first, second = mask(layer), mask(layer)
    print(f"seed=1, two calls agree on {np.mean(first == second):.1f} of the units")
    #> seed=1, two calls agree on 0.5 of the units
    print("another layer with seed=1 repeats both:", bool((first == mask(twin)).all()))
    #> another layer with seed=1 repeats both: True

    runs = []
    for _ in range(2):
        keras.utils.set_random_seed(0)  # Python's, NumPy's and the backend's generators
        runs.append(mask(layers.Dropout(0.5)))
    print("set_random_seed repeats a layer without a seed:", bool((runs[0] == runs[1]).all()))
    #> set_random_seed repeats a layer without a seed: True

    model = keras.Sequential([keras.Input((200,)), EpochDropout(0.5), layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(ones, ones[:, :1], callbacks=[DrawEachEpoch()], verbose=0)
    layer = model.layers[0]
    print("EpochDropout, two calls agree:", bool((mask(layer) == mask(layer)).all()))
    #> EpochDropout, two calls agree: True
