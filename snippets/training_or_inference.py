"""When is dropout on? Count the zeros behind it in fit, evaluate, predict and plain calls."""

import keras
import numpy as np

x = np.ones((1000, 100), "float32")


def zeros(y_true, y_pred):
    """A metric: the share of the outputs that are zero."""
    return keras.ops.mean(keras.ops.cast(keras.ops.equal(y_pred, 0), "float32"), axis=-1)


def share(outputs):
    return np.mean(keras.ops.convert_to_numpy(outputs) == 0)


def phases(model):
    """The share of zeros that the model puts out in each phase."""
    model.compile("sgd", "mse", metrics=[zeros])
    history = model.fit(x, x, validation_data=(x, x), verbose=0).history
    return {
        "fit": history["zeros"][0],
        "validation in fit": history["val_zeros"][0],
        "evaluate": model.evaluate(x, x, verbose=0, return_dict=True)["zeros"],
        "predict": share(model.predict(x, verbose=0)),
        "model(x)": share(model(x)),
        "model(x, training=True)": share(model(x, training=True)),
    }


def ones():
    return keras.layers.Dense(100, kernel_initializer="identity")  # puts out ones, until trained


class Passing(keras.Model):  # on in training, off otherwise, in every version
    def __init__(self, rate):
        super().__init__()
        self.dense, self.dropout = ones(), keras.layers.Dropout(rate)

    def call(self, inputs, training=None):
        return self.dropout(self.dense(inputs), training=training)


class MCDropout(keras.layers.Dropout):  # on at all times, in every version
    def call(self, inputs, training=None):
        return super().call(inputs, training=True)


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    always = keras.Sequential([keras.Input((100,)), ones(), MCDropout(0.5)])
    table = [phases(Passing(0.5)), phases(always)]
    for phase in table[0]:
        print(f"{phase:24}" + "  ".join(f"{column[phase]:.2f}" for column in table))
        #> fit                     0.50  0.50
        #> validation in fit       0.00  0.50
        #> evaluate                0.00  0.50
        #> predict                 0.00  0.50
        #> model(x)                0.00  0.50
        #> model(x, training=True) 0.50  0.50
