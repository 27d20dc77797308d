"""A loop of your own on any backend: batches by train_on_batch, which says `training` itself."""

import keras
import numpy as np


class Block(keras.layers.Layer):
    """Layers of your own take `training` in `call`, and hand it to each layer that they call."""

    def __init__(self, units, rate):
        super().__init__()
        self.dense = keras.layers.Dense(units, "relu")
        self.dropout = keras.layers.Dropout(rate)

    def call(self, inputs, training=None):
        return self.dropout(self.dense(inputs), training=training)


def network(rate=0.5):
    return keras.Sequential([Block(32, rate), Block(32, rate), keras.layers.Dense(1)])


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(256, 8)).astype("float32")
    y = x[:, :1] ** 2
    model = network()
    model.compile("adam", "mse")
    before = model.test_on_batch(x[192:], y[192:])
    for _ in range(20):
        model.reset_metrics()
        for start in range(0, 192, 32):
            model.train_on_batch(x[start : start + 32], y[start : start + 32])
    model.reset_metrics()
    after = model.test_on_batch(x[192:], y[192:])  # dropout off
    print("validation loss fell:", bool(after < before))
    #> validation loss fell: True

    # where you call the model yourself, nobody says it for you
    def random(**training):
        return not np.array_equal(*(keras.ops.convert_to_numpy(model(x, **training)) for _ in "ab"))

    print("model(x) is random:", random(), "with training=True:", random(training=True))
    #> model(x) is random: False with training=True: True
