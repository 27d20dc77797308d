"""Compare two models fairly: twenty replicas of each, trained together as one model, compared pair by pair."""

import keras
import numpy as np
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


def digits(n_train, replicas, noise=0.0):
    """x_train `(n, replicas, 64)`, x_test, y_train `(n, replicas)`, y_test: another random split for each replica."""
    x, y = load_digits(return_X_y=True)
    x, rng = (x / 16).astype("float32"), np.random.default_rng(0)
    splits = [train_test_split(x, y, train_size=n_train, stratify=y, random_state=r) for r in range(replicas)]
    x_train, x_test, y_train, y_test = (np.stack(part, axis=1) for part in zip(*splits, strict=True))
    wrong = rng.random(y_train.shape) < noise  # these labels become random ones
    return x_train, x_test, np.where(wrong, rng.integers(0, 10, y_train.shape), y_train), y_test


def glorot(shape, dtype=None):
    limit = (6 / (shape[-2] + shape[-1])) ** 0.5  # of one replica; Keras' own counts the replica axis in
    return keras.random.uniform(shape, -limit, limit, dtype)


def dense(replicas, units, activation=None):
    """Dense with a kernel for each replica: `(batch, replicas, features)` to `(batch, replicas, units)`."""
    return keras.layers.EinsumDense("bri,rio->bro", (replicas, units), activation, "ro", kernel_initializer=glorot)


def evaluate(build, data, epochs=100, seed=0):
    """Train the layers that `build` makes. Returns test accuracy in percent and test loss, each `(replicas,)`."""
    x_train, x_test, y_train, y_test = data
    keras.utils.set_random_seed(seed)  # equal seeds give both models of a pair the same start
    keras.random.uniform(())  # fixes the weights' generator before a Dropout takes its seed from the same source
    model = keras.Sequential([keras.Input(x_train.shape[1:]), *build()])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # the loss averages over replicas, so this weight gives each one its own full gradient
    model.compile("adam", loss, loss_weights=float(x_train.shape[1]), steps_per_execution=-(-len(x_train) // 32))
    model.fit(x_train, y_train, batch_size=32, epochs=epochs, verbose=0)
    logits = model.predict(x_test, batch_size=len(x_test), verbose=0)
    losses = keras.losses.sparse_categorical_crossentropy(y_test, logits, from_logits=True)
    return 100 * (logits.argmax(-1) == y_test).mean(0), keras.ops.convert_to_numpy(losses).mean(0)


if __name__ == "__main__":
    data = digits(n_train=500, replicas=20, noise=0.3)

    def network(rate):
        drop, hidden = keras.layers.Dropout, [dense(20, 128, "relu"), dense(20, 64, "relu")]
        return [hidden[0], drop(rate), hidden[1], drop(rate), dense(20, 10)]

    without, dropped = (evaluate(lambda r=rate: network(r), data, epochs=40)[0] for rate in (0, 0.5))
    low, high = stats.ttest_1samp(dropped - without, 0).confidence_interval()
    print(f"wins: {np.sum(dropped > without)} of 20, interval above 0: {low > 0}")
    #> wins: 20 of 20, interval above 0: True
