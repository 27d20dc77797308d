"""Why is val_loss below loss? Take the difference apart after each epoch."""

import keras
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


class Gap(keras.callbacks.Callback):
    """Adds three parts of `loss - val_loss` to the logs."""

    def __init__(self, x, y, calls=20):
        super().__init__()
        self.x, self.y, self.calls = x, y, calls  # the training data, or a sample of them

    def in_training(self):
        outputs = self.model(self.x, training=True)
        return keras.ops.convert_to_numpy(self.model.compute_loss(self.x, self.y, outputs))

    def on_epoch_end(self, epoch, logs=None):
        weights = self.model.get_weights()  # calls in training move batch statistics
        on = np.mean([self.in_training() for _ in range(self.calls)])
        self.model.set_weights(weights)
        off = self.model.evaluate(self.x, self.y, verbose=0, return_dict=True)["loss"]
        logs["earlier weights"] = logs["loss"] - on  # fit's mean is over the whole epoch
        logs["training mode"] = on - off  # dropout, augmentation, batch statistics
        logs["other data"] = off - logs["val_loss"]  # below zero: overfitting


if __name__ == "__main__":
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype("float32")
    x, x_val, y, y_val = train_test_split(x, y, train_size=500, random_state=0)
    keras.utils.set_random_seed(0)
    for rate in (0, 0.5):
        drop, dense = keras.layers.Dropout, keras.layers.Dense
        hidden = [dense(128, "relu"), drop(rate), dense(64, "relu"), drop(rate)]
        model = keras.Sequential([keras.Input((64,)), *hidden, dense(10, "softmax")])
        model.compile("adam", "sparse_categorical_crossentropy")
        more = {"validation_data": (x_val, y_val), "callbacks": [Gap(x, y)]}
        logs = model.fit(x, y, epochs=10, verbose=0, **more).history
        for epoch in (0, 9) if rate == 0 else (9,):
            below = logs["val_loss"][epoch] < logs["loss"][epoch]
            parts = {name: abs(logs[name][epoch]) for name in list(logs)[-3:]}
            print(f"rate {rate}, epoch {epoch + 1}: below {below}, {max(parts, key=parts.get)}")
            #> rate 0, epoch 1: below True, earlier weights
            #> rate 0, epoch 10: below False, other data
            #> rate 0.5, epoch 10: below True, training mode
