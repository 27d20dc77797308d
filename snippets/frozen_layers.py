"""What freezing a base model stops in a step of `fit`, and a wrapper that stops the rest."""

import keras
import numpy as np


@keras.saving.register_keras_serializable("dropout_answered")
class AtInference(keras.layers.Layer):
    """A model that runs as at inference, also in `fit`: no dropout, no new statistics.

    Its weights train, unless they are frozen.
    """

    def __init__(self, model, **kwargs):
        super().__init__(**kwargs)
        self.model, self.after = model, keras.layers.Dropout(0)

    def call(self, inputs, training=None):
        outputs = self.model(inputs, training=False)
        return self.after(outputs, training=training)  # or layers behind it would hear False

    def get_config(self):
        return super().get_config() | {"model": keras.saving.serialize_keras_object(self.model)}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config.pop("model")), **config)


def zeros(y_true, y_pred):
    """A metric: the share of the outputs that are zero."""
    return keras.ops.mean(keras.ops.cast(keras.ops.equal(y_pred, 0), "float32"), axis=-1)


def step(wrap, trainable):
    """Of one step: did the base's weights move, what share did it drop, did its statistics move?"""
    drop, norm = keras.layers.Dropout(0.5), keras.layers.BatchNormalization()
    base = keras.Sequential([keras.Input((100,)), keras.layers.Dense(100), norm, drop])
    base.trainable = trainable
    head = keras.layers.Dense(100, kernel_initializer="identity")  # shows what the base puts out
    model = keras.Sequential([keras.Input((100,)), wrap(base), head])
    model.compile("sgd", "mse", metrics=[zeros])
    before = base.get_weights()
    x = np.random.default_rng(0).normal(size=(1000, 100)).astype("float32")
    share = model.fit(x, x, batch_size=1000, verbose=0).history["zeros"][0]
    moved = [not np.array_equal(a, b) for a, b in zip(before, base.get_weights(), strict=True)]
    return moved[0], share, moved[4]  # kernel, bias, gamma, beta, moving mean, moving variance


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    for wrap in (lambda base: base, AtInference):
        for trainable in (True, False):
            weights, share, statistics = step(wrap, trainable)
            text = f"weights move: {weights!s:5}  dropped: {share:.2f}"
            print(f"{text}  statistics move: {statistics}")
            #> weights move: True   dropped: 0.50  statistics move: True
            #> weights move: False  dropped: 0.50  statistics move: False
            #> weights move: True   dropped: 0.00  statistics move: False
            #> weights move: False  dropped: 0.00  statistics move: False

    quiet = AtInference(keras.Sequential([keras.Input((100,)), keras.layers.Dropout(0.5)]))
    copy = AtInference.from_config(quiet.get_config())  # as saving and loading do
    on = keras.ops.convert_to_numpy(copy(np.ones((100, 100)), training=True))
    print("dropped by a loaded copy:", np.sum(on == 0))
    #> dropped by a loaded copy: 0
