"""Where does dropout go in a graph neural network?"""

import functools
import itertools

import keras
import numpy as np
import pytest
from fair_comparison import at_once, dense
from graph_networks import GraphAttention
from graph_networks_train import network, papers
from keras import layers, ops

numpy = ops.convert_to_numpy
NODES, CLASSES, WORDS = 400, 4, 200


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="module")
def graph():
    return papers(0)


@pytest.fixture
def steps(graph):
    """Attention weights of 40 nodes, in 200 training steps `(200, 40, nodes)` and at inference, and whom they hear."""
    x, edges, _ = graph
    layer = GraphAttention(8, 0.0, 0.6)
    layer([x, edges])
    h = layer.project(x)
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
    """Dropout on the features is drawn once for a node: all who hear it in a step miss the same ones. Of a layer that hands
    on what it hears, {rows} nodes that all hear one node put out the same, with a share of {missing:.2f} of its features
    missing at rate 0.5; the next step misses others."""
    x, _, _ = graph
    layer = GraphAttention(WORDS, 0.5, 0.0)
    hears = np.zeros((NODES, NODES), bool)
    hears[:, 7] = True
    layer([x, hears])
    layer.project.set_weights([np.eye(WORDS), np.zeros(WORDS)])
    one, two = (numpy(layer([np.ones_like(x), hears], training=True)) for _ in range(2))
    claim.exact("rows", int((one == one[7]).all(1).sum()), NODES)
    claim.share("missing", one[7] == 0, 0.5)
    claim.exact("the_next_differs", bool((one[7] != two[7]).any()), True)


def symmetric(adjacency):
    """Normalised by the square roots of both nodes' degrees, as graph convolutions do."""
    degree = adjacency.sum(1)
    return (adjacency / np.sqrt(np.outer(degree, degree))).astype("float32")


def test_dropedge_normalises_what_is_left(claim, graph):
    """Of a graph convolution's normalised adjacency, the sums of a node's weights vary from step to step with a variance of
    {dropout:.2f} under Dropout(0.5), which scales up what stays; where DropEdge removes half of the edges first and normalises
    what is left, with {dropedge:.2f}."""
    _, edges, _ = graph
    itself = np.eye(NODES, dtype=bool)
    drop, whole = layers.Dropout(0.5), symmetric(edges.astype("float32"))
    dropped = np.stack([numpy(drop(whole, training=True)).sum(1) for _ in range(100)])
    squares = (dropped - whole.sum(1)) ** 2
    claim.sampled("dropout", squares.mean(), (whole**2).sum(1).mean(), squares.std() / squares.size**0.5, squares.size)
    sums, kept = [], []
    for _ in range(100):
        half = np.triu(numpy(drop(edges.astype("float32"), training=True)) > 0, 1)
        kept.append(half[np.triu(edges, 1)])
        sums.append(symmetric((half | half.T | itself).astype("float32")).sum(1))  # an edge goes in both directions
    claim.share("edges_kept", np.concatenate(kept), 0.5)
    claim.close("dropedge", np.var(sums, axis=0).mean(), 0, 0.05)


def test_predict_hears_everybody(claim, graph):
    """At inference each node hears all of its neighbours, over {heard:,} edges, and nobody else; two calls of `predict` agree
    in every one of {numbers:,} logits."""
    x, edges, _ = graph
    model = network(NODES, WORDS, CLASSES, 0.6, 0.6)
    first = model.layers[-2]
    weights = numpy(first.attend(first.project(x), edges))
    claim.exact("heard", int((weights[edges] > 0).sum()), int(edges.sum()))
    claim.exact("strangers", int((weights[~edges] > 0).sum()), 0)
    one, two = (model.predict([x, edges], batch_size=NODES, verbose=0) for _ in range(2))
    claim.exact("numbers", int((one == two).sum()), NODES * CLASSES)


# ------------------------------------------------------------------------------------------------ how to use the layer


@pytest.mark.parametrize("shuffled", [False, True])
def test_fit_must_not_shuffle_the_nodes(claim, graph, shuffled):
    """`fit` shuffles by default. That moves the rows of `edges` and leaves the columns, so each node hears others: without
    dropout and without a step, `fit` reports the loss of `evaluate` with `shuffle=False`, {kept}, and another by default,
    {default}."""
    x, edges, y = graph
    model = network(NODES, WORDS, CLASSES, 0, 0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.0), loss)
    how = {"batch_size": NODES, "verbose": 0}
    fitted = model.fit([x, edges], y, **how, **({} if shuffled else {"shuffle": False})).history["loss"][0]
    same = bool(np.isclose(fitted, model.evaluate([x, edges], y, **how), rtol=1e-5))
    claim.exact("default" if shuffled else "kept", same, not shuffled)


def test_a_node_without_edges_hears_everybody(claim):
    """A node whose row of `edges` is empty, itself left out, hears all {nodes} nodes alike, with a weight of {weight:.2f}
    each: the softmax of equal scores."""
    layer = GraphAttention(3, 0.0, 0.0)
    x, edges = np.ones((4, 2), "float32"), np.eye(4, dtype=bool)
    edges[2, 2] = False
    layer([x, edges])
    weights = numpy(layer.attend(layer.project(x), edges))
    claim.exact("nodes", int((weights[2] > 0).sum()), 4)
    claim.close("weight", weights[2].max(), 0.25, 1e-6)
    claim.exact("others_hear_themselves", bool(np.allclose(weights[[0, 1, 3]], np.eye(4)[[0, 1, 3]])), True)


def test_a_saved_model_brings_the_layer_back(claim, graph, tmp_path):
    """Saved and loaded with `custom_objects`, the network gives the same {numbers:,} logits."""
    x, edges, _ = graph
    model = network(NODES, WORDS, CLASSES, 0.6, 0.6)
    model.save(tmp_path / "gat.keras")
    loaded = keras.models.load_model(tmp_path / "gat.keras", custom_objects={"GraphAttention": GraphAttention})
    one, two = (m.predict([x, edges], batch_size=NODES, verbose=0) for m in (model, loaded))
    claim.exact("numbers", int((one == two).sum()), NODES * CLASSES)


# ------------------------------------------------------------------------------------------------ does it pay


def replica_network(replicas, feature_rate, edge_rate):
    class Replicas(GraphAttention):
        projection = staticmethod(functools.partial(dense, replicas))

    x = keras.Input((replicas, WORDS), NODES)
    edges = keras.Input((replicas, NODES), NODES, dtype="bool")
    hidden = Replicas(16, feature_rate, edge_rate, "elu")([x, edges])
    return keras.Model([x, edges], Replicas(CLASSES, feature_rate, edge_rate)([hidden, edges]))


@functools.cache
def accuracy(short, per_class, feature_rate=0.0, edge_rate=0.0):
    """Accuracy in percent of ten networks, each on a graph of its own: on 25 nodes of each class, never labelled, and on
    those that are labelled."""
    replicas = 3 if short else 10
    x, edges, y = (np.stack(parts, axis=1) for parts in zip(*map(papers, range(replicas)), strict=True))
    rank = np.stack([np.cumsum(y == k, axis=0) * (y == k) for k in range(CLASSES)]).sum(0) - 1  # within its class
    labelled = rank < per_class
    keras.utils.set_random_seed(0)
    keras.random.uniform(())  # fixes the seed of the weights before a Dropout takes one
    model = replica_network(replicas, feature_rate, edge_rate)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # the loss is a mean over replicas, so this weight gives each one its own full gradient
    how = {"loss_weights": float(replicas), "steps_per_execution": at_once(20)}
    model.compile(keras.optimizers.Adam(0.005), loss, **how)
    batch = (x, edges), y, (labelled / labelled.mean(0)).astype("float32")
    model.fit((batch for _ in itertools.count()), steps_per_epoch=200, verbose=0)
    hits = numpy(model([x, edges])).argmax(-1) == y
    parts = rank >= NODES // CLASSES - 25, labelled
    return [100 * np.array([hits[part[:, r], r].mean() for r in range(replicas)]) for part in parts]


def gain(study, per_class, rates, other=(0, 0)):
    """Test accuracy with these rates, of features and of edges, minus that with others, graph by graph."""
    return accuracy(study.short, per_class, *rates)[0] - accuracy(study.short, per_class, *other)[0]


FEATURES, EDGES, BOTH, LOW = (0.6, 0), (0, 0.6), (0.6, 0.6), (0.2, 0.2)


@pytest.mark.study
def test_with_few_labels_each_place_pays(claim, study):
    """On random graphs of 400 papers with 20 labels for each of four topics, a graph attention network without dropout has a
    test accuracy, in percent, of {few_none.interval:.1f}. Dropout(0.6) on the features changes it by
    {few_features.interval:+.1f} percentage points, on the attention weights by {few_edges.interval:+.1f} and on both by
    {few_both.interval:+.1f}, which is {few_added.interval:+.1f} against the features alone; 0.2 on both changes it by
    {few_low.interval:+.1f}, over {few_both.n} paired replicas."""
    claim.trained("few_none", accuracy(study.short, 20, 0, 0)[0], above=25)
    claim.trained("few_features", gain(study, 20, FEATURES), above=0)
    claim.trained("few_edges", gain(study, 20, EDGES), above=0)
    claim.trained("few_both", gain(study, 20, BOTH), above=0)
    claim.trained("few_added", gain(study, 20, BOTH, FEATURES), above=-5, below=10)
    claim.trained("few_low", gain(study, 20, LOW), above=0)


@pytest.mark.study
def test_with_more_labels_they_still_pay(claim, study):
    """With 75 labels for each topic it is {many_none.interval:.1f} without dropout, and on the labelled papers
    {many_gap.interval:.1f} points more. Dropout(0.6) changes it by {many_features.interval:+.1f} percentage points on the
    features, by {many_edges.interval:+.1f} on the attention weights and by {many_both.interval:+.1f} on both, and 0.2 on both
    by {many_low.interval:+.1f}."""
    test, labelled = accuracy(study.short, 75, 0, 0)
    claim.trained("many_none", test, above=25)
    claim.trained("many_gap", labelled - test, above=10)
    claim.trained("many_features", gain(study, 75, FEATURES), above=0)
    claim.trained("many_edges", gain(study, 75, EDGES), above=0)
    claim.trained("many_both", gain(study, 75, BOTH), above=0)
    claim.trained("many_low", gain(study, 75, LOW), above=0)
