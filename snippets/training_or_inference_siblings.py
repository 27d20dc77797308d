"""The leak between siblings: a `training` for one layer reaches the layers called after it."""

import keras

from training_or_inference import share, x


class Leaking(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.a, self.b = keras.layers.Dropout(0.5), keras.layers.Dropout(0.5)

    def call(self, inputs, training=None):
        a = self.a(inputs, training=False)  # meant for `a` alone
        b = self.b(inputs)  # takes what the layer before it was given
        return a, b


class Tight(Leaking):
    def call(self, inputs, training=None):
        a = self.a(inputs, training=False)
        b = self.b(inputs, training=training)
        return a, b


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    for block in (Leaking(), Tight()):
        a, b = (share(y) for y in block(x, training=True))
        print(f"{type(block).__name__:8} in training, zeros of a: {a:.2f}, of b: {b:.2f}")
        #> Leaking  in training, zeros of a: 0.00, of b: 0.00
        #> Tight    in training, zeros of a: 0.00, of b: 0.50
