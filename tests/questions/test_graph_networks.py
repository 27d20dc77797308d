"""Where does dropout go in a graph neural network?"""

import functools
import itertools

import keras
import numpy as np
import pytest
from fair_comparison import at_once, dense
from graph_networks import GraphAttention, network
from keras import layers, ops

numpy = ops.convert_to_numpy
NODES, CLASSES, WORDS = 400, 4, 200


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


def papers(seed):
    """A random citation graph: words `(nodes, words)`, edges `(nodes, nodes)` with each node itself, topics `(nodes,)`.

    A paper cites three others of its topic and one of another, on average; a word of its own topic is 2.5 times as likely.
    """
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(NODES) % CLASSES)
    same = y[:, None] == y
    chance = np.where(same, 3 / same.sum(1, keepdims=True), 1 / (~same).sum(1, keepdims=True))
    edges = np.triu(rng.random(same.shape) < chance, 1)
    words = rng.random((NODES, WORDS)) < np.where(np.arange(WORDS) % CLASSES == y[:, None], 0.125, 0.05)
    return words.astype("float32"), edges | edges.T | np.eye(NODES, dtype=bool), y


@pytest.fixture(scope="module")
def graph():
    return papers(0)


@pytest.fixture
def steps(graph):
    """Attention weights of 40 nodes, in 200 training steps `(200, 40, nodes)` and at inference, and whom they hear."""
    x, edges, _ = graph
    layer = GraphAttention(8, 0.0, 0.6)
    layer([x, edges])
    h = layer.dense(x)
    drawn = [numpy(layer.attend(h, edges, training=True))[:40] for _ in range(200)]
    return np.stack(drawn), numpy(layer.attend(h, edges))[:40], edges[:40]


# ------------------------------------------------------------------------------------------------ whom a node hears


def test_attention_dropout_samples_the_neighbours(claim):
    """With Dropout(0.6) on its attention, a node with five equal neighbours hears each in a share of {heard:.2f} of the
    steps, and in {none:.3f} of the steps none of them."""
    weights = numpy(layers.Dropout(0.6)(np.full((20_000, 5), 0.2, "float32"), training=True))
    claim.share("heard", weights > 0, 0.4)
    claim.share("none", (weights == 0).all(axis=1), 0.6**5)
    claim.close("kept_weight", weights.max(), 0.5, 1e-6)


def test_a_node_loses_itself_as_often_as_a_neighbour(claim, steps):
    """In our layer a node that drops 0.6 of its edges also loses itself: it is missing in a share of {itself:.2f} of the
    steps, and a neighbour in {neighbours:.2f}."""
    weights, _, edges = steps
    itself = np.eye(NODES, dtype=bool)[:40]
    claim.share("itself", weights[:, itself] == 0, 0.6)
    claim.share("neighbours", weights[:, edges & ~itself] == 0, 0.6)


def test_the_weights_of_a_step_do_not_sum_to_one(claim, steps):
    """In training the weights of a node sum to {mean:.2f} on average, and in a single step to anything from {least:.0f} to
    more than 2; at inference to 1, to within 0.00001."""
    weights, inference, _ = steps
    sums = weights.sum(-1)
    variance = 0.6 / 0.4 * (inference**2).sum(-1).mean()  # of factors that are 0 or 2.5, weighted by attention
    claim.sampled("mean", sums.mean(), 1, (variance / sums.size) ** 0.5, sums.size)
    claim.exact("least", float(sums.min()), 0.0)
    claim.exact("more_than_two", bool(sums.max() > 2), True)
    claim.close("inference", np.abs(inference.sum(-1) - 1).max(), 0, 1e-5)


def test_in_front_of_the_softmax_nobody_is_silenced(claim, program):
    """The wrong twin: Dropout on the scores, in front of the softmax, leaves a share of {heard:.2f} of the neighbours heard,
    and gives {strangers:.2f} of the attention to nodes that are none; behind the softmax these are {heard_behind:.2f} and
    {strangers_behind:.2f}."""
    twin = program("graph_networks_wrong")
    edges = twin["edges"]
    claim.exact("heard", float((twin["in_front"][edges] > 0).mean()), 1.0)
    claim.share("heard_behind", twin["behind"][edges] > 0, 0.4)
    for name, weights in (("strangers", twin["in_front"]), ("strangers_behind", twin["behind"])):
        share = float(weights[~edges].sum() / weights.sum())
        claim.close(name, share, 0.92 if name == "strangers" else 0, 0.03 if name == "strangers" else 0)


# ------------------------------------------------------------------------------------------------ what a node says


def test_all_neighbours_miss_the_same_features(claim, graph):
    """Dropout on the features is drawn once for a node: all who hear it in a step miss the same ones. Their copies differ in
    {different} of {compared:,} values; with a mask for each edge they would differ in half of them."""
    x, _, _ = graph
    said = numpy(layers.Dropout(0.5)(np.ones_like(x), training=True))
    hears = np.zeros((2, NODES), "float32")
    hears[:, 7] = 1  # two nodes that hear one and the same
    first, second = hears @ said
    claim.exact("different", int((first != second).sum()), 0)
    claim.exact("compared", first.size, WORDS)
    each = numpy(layers.Dropout(0.5)(np.ones((2, 10_000), "float32"), training=True))
    claim.share("with_a_mask_each", each[0] != each[1], 0.5)


def test_dropped_edges_can_be_normalised_again(claim, graph):
    """A graph convolution averages over neighbours. Under Dropout(0.5) on its normalised adjacency the sums of a node's
    weights have a variance of {variance:.2f}; DropEdge removes edges before the normalisation, and every sum is 1, to
    within 0.00001."""
    _, edges, _ = graph
    drop = layers.Dropout(0.5)
    normalised = (edges / edges.sum(1, keepdims=True)).astype("float32")
    squares = (np.stack([numpy(drop(normalised, training=True)).sum(1) for _ in range(50)]) - 1) ** 2
    error = squares.std() / squares.size**0.5
    claim.sampled("variance", squares.mean(), (normalised**2).sum(1).mean(), error, squares.size)
    kept = numpy(drop(edges.astype("float32"), training=True)) > 0
    kept |= np.eye(NODES, dtype=bool)  # a node keeps itself
    again = kept / kept.sum(1, keepdims=True)
    claim.close("dropedge", np.abs(again.sum(1) - 1).max(), 0, 1e-5)
    claim.share("edges_kept", kept[edges & ~np.eye(NODES, dtype=bool)], 0.5)


def test_predict_hears_everybody(claim, graph):
    """`predict` drops nothing: two passes agree in every one of {numbers:,} logits, and in two training passes they differ."""
    x, edges, _ = graph
    model = network(NODES, WORDS, CLASSES, 0.6, 0.6)
    one, two = (model.predict([x, edges], batch_size=NODES, verbose=0) for _ in range(2))
    claim.exact("numbers", int((one == two).sum()), NODES * CLASSES)
    one, two = (numpy(model([x, edges], training=True)) for _ in range(2))
    claim.exact("training_differs", bool((one != two).any()), True)


# ------------------------------------------------------------------------------------------------ does it pay


def replica_network(replicas, feature_rate, edge_rate):
    make = functools.partial(dense, replicas)
    x = keras.Input((replicas, WORDS), NODES)
    edges = keras.Input((replicas, NODES), NODES, dtype="bool")
    hidden = GraphAttention(16, feature_rate, edge_rate, "elu", make)([x, edges])
    return keras.Model([x, edges], GraphAttention(CLASSES, feature_rate, edge_rate, None, make)([hidden, edges]))


@functools.cache
def accuracy(short, per_class, feature_rate=0.0, edge_rate=0.0):
    """Test accuracy in percent of ten networks, each on a graph of its own: 25 nodes of each class, never labelled."""
    replicas, epochs = (3, 40) if short else (10, 200)
    x, edges, y = (np.stack(parts, axis=1) for parts in zip(*map(papers, range(replicas)), strict=True))
    rank = np.stack([np.cumsum(y == k, axis=0) * (y == k) for k in range(CLASSES)]).sum(0) - 1  # within its class
    weight = (rank < per_class) / (rank < per_class).mean(0)
    keras.utils.set_random_seed(0)
    keras.random.uniform(())  # fixes the seed of the weights before a Dropout takes one
    model = replica_network(replicas, feature_rate, edge_rate)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # the loss is a mean over replicas, so this weight gives each one its own full gradient
    how = {"loss_weights": float(replicas), "steps_per_execution": at_once(20)}
    model.compile(keras.optimizers.Adam(0.005), loss, **how)
    batch = (x, edges), y, weight.astype("float32")
    model.fit((batch for _ in itertools.count()), steps_per_epoch=epochs, verbose=0)
    hits = numpy(model([x, edges])).argmax(-1) == y
    return 100 * np.array([hits[rank[:, r] >= NODES // CLASSES - 25, r].mean() for r in range(replicas)])


def gain(study, per_class, **rates):
    """Accuracy with these rates minus that without dropout, in percentage points, graph by graph."""
    return accuracy(study.short, per_class, **rates) - accuracy(study.short, per_class)


@pytest.mark.study
def test_with_few_labels_both_places_pay(claim, study):
    """On random graphs of 400 papers with 20 labels for each of four topics, a graph attention network without dropout has an
    accuracy, in percent, of {few_none.interval:.1f}. Dropout(0.6) on the features changes it by {few_features.interval:+.1f}
    percentage points, on the attention weights by {few_edges.interval:+.1f} and on both by {few_both.interval:+.1f}, and
    0.2 on both by {few_low.interval:+.1f}, over {few_both.n} paired replicas."""
    claim.trained("few_none", accuracy(study.short, 20), above=25)
    claim.trained("few_features", gain(study, 20, feature_rate=0.6), above=0)
    claim.trained("few_edges", gain(study, 20, edge_rate=0.6), above=0)
    claim.trained("few_both", gain(study, 20, feature_rate=0.6, edge_rate=0.6), above=0)
    claim.trained("few_low", gain(study, 20, feature_rate=0.2, edge_rate=0.2), above=0)


@pytest.mark.study
def test_with_more_labels_they_still_pay(claim, study):
    """With 75 labels for each topic it is {many_none.interval:.1f} without dropout, and 0.6 changes it by
    {many_features.interval:+.1f} percentage points on the features, by {many_edges.interval:+.1f} on the attention weights
    and by {many_both.interval:+.1f} on both."""
    claim.trained("many_none", accuracy(study.short, 75), above=25)
    claim.trained("many_features", gain(study, 75, feature_rate=0.6), above=0)
    claim.trained("many_edges", gain(study, 75, edge_rate=0.6), above=0)
    claim.trained("many_both", gain(study, 75, feature_rate=0.6, edge_rate=0.6), above=0)
