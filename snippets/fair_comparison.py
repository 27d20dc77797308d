"""Compare two models fairly: twenty replicas of each, as one model, pair by pair."""

import keras
import numpy as np
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


def digits(n_train, replicas, noise=0.0):
    """Training inputs `(n, replicas, 64)` and labels `(n, replicas)`, then the same for testing."""
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype("float32")
    split = {"train_size": n_train, "stratify": y}  # another one for each replica
    splits = [train_test_split(x, y, **split, random_state=r) for r in range(replicas)]
    x_train, x_test, y_train, y_test = (np.stack(p, axis=1) for p in zip(*splits, strict=True))
    rng = np.random.default_rng(0)
    wrong = rng.random(y_train.shape) < noise  # these labels become random ones
    return x_train, np.where(wrong, rng.integers(0, 10, wrong.shape), y_train), x_test, y_test


def glorot(shape, dtype=None):
    limit = (6 / (shape[-2] + shape[-1])) ** 0.5  # Keras' own would count the replica axis in
    return keras.random.uniform(shape, -limit, limit, dtype)


def dense(replicas, units, activation=None):
    """Dense, with a kernel for each replica: `(batch, replicas, features)` to units."""
    shape = {"output_shape": (replicas, units), "bias_axes": "ro", "kernel_initializer": glorot}
    return keras.layers.EinsumDense("bri,rio->bro", activation=activation, **shape)


def at_once(steps):
    """The steps of training to run at once, which is quicker; PyTorch takes one."""
    return 1 if keras.backend.backend() == "torch" else steps


def batches(x, y, steps, seed):
    """Batches without end, in a new order each epoch; on TensorFlow a seeded `fit` repeats one."""
    rng = np.random.default_rng(seed)
    while True:
        for i in np.array_split(rng.permutation(len(x)), steps):
            yield x[i], y[i]


def evaluate(build, data, epochs=100, seed=0):
    """Train what `build` makes: test accuracy in percent and test loss, each `(replicas,)`."""
    x, y, x_test, y_test = data
    keras.utils.set_random_seed(seed)  # equal seeds give both models of a pair the same start
    keras.random.uniform(())  # fixes the seed of the weights before a Dropout takes one
    model = keras.Sequential([keras.Input(x.shape[1:]), *build()])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # the loss is a mean over replicas, so this weight gives each one its own full gradient
    weight, steps = float(x.shape[1]), -(-len(x) // 32)  # batches of 32, or nearly so
    model.compile("adam", loss, loss_weights=weight, steps_per_execution=at_once(steps))
    model.fit(batches(x, y, steps, seed), steps_per_epoch=steps, epochs=epochs, verbose=0)
    logits = keras.ops.convert_to_numpy(model(x_test))
    losses = keras.losses.sparse_categorical_crossentropy(y_test, logits, from_logits=True)
    return 100 * (logits.argmax(-1) == y_test).mean(0), keras.ops.convert_to_numpy(losses).mean(0)


if __name__ == "__main__":
    data = digits(n_train=500, replicas=20, noise=0.3)

    def network(rate):
        drop, hidden = keras.layers.Dropout, [dense(20, 128, "relu"), dense(20, 64, "relu")]
        return [hidden[0], drop(rate), hidden[1], drop(rate), dense(20, 10)]

    without, _ = evaluate(lambda: network(0), data, epochs=40)
    dropped, _ = evaluate(lambda: network(0.5), data, epochs=40)
    low, high = stats.ttest_1samp(dropped - without, 0).confidence_interval()
    print(f"wins: {np.sum(dropped > without)} of 20, interval above 0: {low > 0}")
    #> wins: 20 of 20, interval above 0: True
