"""The mistake: early stopping that watches the training loss, where Dropout is on."""

import keras

from fair_comparison import digits

x, y, x_val, y_val = (part[:, 0] for part in digits(n_train=500, replicas=1, noise=0.5))


def fit(monitor):
    """Train until what is monitored has not improved for five epochs."""
    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(units, activation="relu") for units in (128, 64)]
    drops = [keras.layers.Dropout(0.2) for _ in hidden]
    parts = [hidden[0], drops[0], hidden[1], drops[1], keras.layers.Dense(10)]
    model = keras.Sequential([keras.Input((64,)), *parts])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.003), loss, metrics=["accuracy"])
    stop = keras.callbacks.EarlyStopping(monitor, patience=5, restore_best_weights=True)
    rest = {"epochs": 40, "validation_data": (x_val, y_val), "callbacks": [stop], "verbose": 0}
    history = model.fit(x, y, **rest).history
    return len(history["loss"]), model.evaluate(x_val, y_val, verbose=0, return_dict=True)


if __name__ == "__main__":
    late, wrong = fit("loss")
    early, right = fit("val_loss")
    print("it stops later:", late > early)
    #> it stops later: True
    print("with a lower validation accuracy:", wrong["accuracy"] < right["accuracy"])
    #> with a lower validation accuracy: True
