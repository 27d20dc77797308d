"""The mistake: reading overfitting off what fit reports, which has dropout in it."""

import keras
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

x, y = load_digits(return_X_y=True)
x, x_val, y, y_val = train_test_split((x / 16).astype("float32"), y, train_size=200, random_state=0)
keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input((64,)),
        keras.layers.Dense(128, activation="relu"),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy")
logs = model.fit(x, y, epochs=40, validation_data=(x_val, y_val), verbose=0).history
print("val_loss is below loss, so it does not overfit:", logs["val_loss"][-1] < logs["loss"][-1])
#> val_loss is below loss, so it does not overfit: True

# the same weights and no dropout on either side
here = model.evaluate(x, y, verbose=0)
print("without dropout, val_loss is above the training loss:", logs["val_loss"][-1] > here)
#> without dropout, val_loss is above the training loss: True
