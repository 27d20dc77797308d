"""Did dropout help, or was it the seed?"""

import keras
import numpy as np
from fair_comparison import batches, dense, digits, evaluate, glorot

numpy = keras.ops.convert_to_numpy


def network(replicas, rate=0.0):
    drop = keras.layers.Dropout
    hidden = [dense(replicas, 16, "relu"), dense(replicas, 8, "relu")]
    return [hidden[0], drop(rate), hidden[1], drop(rate), dense(replicas, 10)]


def test_replicas_do_not_touch_each_other(claim):
    """Replicas that train together do not touch each other: new labels for one leave the accuracy and the loss of the
    others exactly as they were."""
    x_train, y_train, x_test, y_test = digits(100, 5)
    other = y_train.copy()
    other[:, 0] = np.random.default_rng(1).permutation(other[:, 0])
    results = [evaluate(lambda: network(5, 0.5), (x_train, y, x_test, y_test), epochs=20) for y in (y_train, other)]
    (accuracy, loss), (accuracy_, loss_) = results
    claim.exact(
        "others_unchanged", np.array_equal(accuracy[1:], accuracy_[1:]) and np.array_equal(loss[1:], loss_[1:]), True
    )
    claim.exact("the_one_changed", bool(loss[0] != loss_[0]), True)


def test_a_replica_computes_what_a_plain_network_computes(claim):
    """A replica trains as the same network would alone: from the same weights, after ten steps of gradient descent,
    their kernels differ by less than 0.00001."""
    x_train, y_train, *_ = digits(64, 3)
    keras.utils.set_random_seed(0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    together = keras.Sequential([keras.Input((3, 64)), dense(3, 16, "relu"), dense(3, 10)])
    alone = keras.Sequential([keras.Input((64,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(10)])
    alone.set_weights([numpy(w)[1] for w in together.weights])
    together.compile(keras.optimizers.SGD(0.1), loss, loss_weights=3.0)
    alone.compile(keras.optimizers.SGD(0.1), loss)
    for _ in range(10):
        together.train_on_batch(x_train, y_train)
        alone.train_on_batch(x_train[:, 1], y_train[:, 1])
    gap = max(np.abs(numpy(a)[1] - numpy(b)).max() for a, b in zip(together.weights, alone.weights, strict=True))
    claim.close("largest_difference", gap, 0, 1e-5)


def test_both_models_of_a_pair_start_from_the_same_weights(claim):
    """Both models of a pair start from the same weights: with and without Dropout, they score the same before the first
    epoch."""
    data = digits(100, 4)
    (accuracy, loss), (accuracy_, loss_) = (evaluate(lambda r=r: network(4, r), data, epochs=0) for r in (0, 0.5))
    claim.exact("same_accuracy", np.array_equal(accuracy, accuracy_), True)
    claim.exact("same_loss", np.array_equal(loss, loss_), True)
    other = evaluate(lambda: network(4), data, epochs=0, seed=1)[1]
    claim.exact("another_seed_has_the_same_loss", np.array_equal(loss, other), False)


def test_each_replica_has_a_split_and_masks_of_its_own(claim):
    """Each replica has a random split of its own, and its own masks: two replicas drop the same unit as often as
    chance has it, a share of {both:.3f} at rate 0.5."""
    x_train, *_ = digits(100, 2)
    claim.exact("same_split", np.array_equal(x_train[:, 0], x_train[:, 1]), False)
    keras.utils.set_random_seed(0)
    masked = numpy(keras.layers.Dropout(0.5)(np.ones((2000, 2, 50), "float32"), training=True)) == 0
    claim.share("both", masked[:, 0] & masked[:, 1], 0.25)


def test_each_epoch_has_its_batches_in_a_new_order(claim):
    """On every backend, each epoch of `evaluate` has a new order of the examples, {orders} in 4 epochs, and the same ones
    in the next run."""
    x = np.arange(500)

    def epochs():
        drawn = batches(x, x, steps=16, seed=0)
        return [[next(drawn)[0] for _ in range(16)] for _ in range(4)]

    first, again = ([np.concatenate(epoch).tolist() for epoch in epochs()] for _ in range(2))
    claim.exact("orders", len({tuple(order) for order in first}), 4)
    claim.exact("every_example_once", all(sorted(order) == x.tolist() for order in first), True)
    claim.exact("the_same_again", again == first, True)
    claim.exact("sizes", sorted({len(batch) for batch in epochs()[0]}), [31, 32])


def test_the_default_initializer_counts_the_replica_axis(claim):
    """Keras' own `glorot_uniform` counts the replica axis into the fan: for 20 replicas its weights are smaller than
    those of `glorot` by a factor of {factor:.2f}, the square root of 20."""
    keras.utils.set_random_seed(0)
    shape = (20, 64, 128)
    ours, default = numpy(glorot(shape)), numpy(keras.initializers.GlorotUniform(seed=0)(shape))
    # a standard deviation of n uniform draws has a relative error of sqrt(0.8 / n) / 2
    n, factor = ours.size, ours.std() / default.std()
    claim.sampled("factor", factor, 20**0.5, 20**0.5 * (2 * 0.2 / n) ** 0.5, n)


def test_a_single_run_can_say_either(claim, program):
    """The wrong twin: of {runs} single runs on 200 digits, with and without Dropout(0.2), some would report that it
    helps and others that it hurts; on average it changes accuracy by {effect.interval:+.2f} percentage points."""
    twin = program("fair_comparison_wrong")
    differences = twin["dropped"] - twin["without"]
    claim.exact("runs", differences.size, 20)
    claim.exact("some_report_help", bool((differences > 0).any()), True)
    claim.exact("some_report_harm", bool((differences < 0).any()), True)
    claim.trained("effect", differences, above=-2, below=2)
