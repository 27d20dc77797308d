"""A graph attention layer in Keras and its two dropouts: on features, and on who hears whom."""

import keras
import numpy as np
from keras import layers, ops


class GraphAttention(layers.Layer):
    """One head: features `(nodes, …, inputs)` and edges `(nodes, …, nodes)` to `(nodes, …, units)`.

    `edges` is True where the first node hears the last; each has to hear itself. `feature_rate`
    drops features, `edge_rate` neighbours. After Veličković et al., 2018, arXiv:1710.10903.
    """

    projection = layers.Dense

    def __init__(self, units, feature_rate, edge_rate, activation=None, **options):
        super().__init__(**options)
        self.units = units
        self.drop_features = layers.Dropout(feature_rate)
        self.drop_edges = layers.Dropout(edge_rate)
        self.project, self.hears, self.heard = map(self.projection, (units, 1, 1))
        self.activation = layers.Activation(activation)

    def build(self, shapes):
        self.project.build(shapes[0])
        for score in (self.hears, self.heard):
            score.build((*shapes[0][:-1], self.units))

    def attend(self, x, edges, training=None):
        """Who hears whom: weights `(nodes, …, nodes)`."""
        scores = ops.leaky_relu(self.hears(x) + ops.swapaxes(self.heard(x), 0, -1), 0.2)
        weights = ops.softmax(ops.where(edges, scores, -1e9))
        return self.drop_edges(weights, training=training)  # behind the softmax

    def call(self, inputs, training=None):
        features, edges = inputs
        x = self.project(self.drop_features(features, training=training))
        weights = self.attend(x, edges, training=training)
        return self.activation(ops.einsum("n...m,m...u->n...u", weights, x))


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    edges = (rng.random((1000, 1000)) < 0.005) | np.eye(1000, dtype=bool)
    x = rng.normal(size=(1000, 32)).astype("float32")
    layer = GraphAttention(8, feature_rate=0.2, edge_rate=0.6)
    print("output:", tuple(layer([x, edges]).shape))
    #> output: (1000, 8)
    for training in (False, True):
        weights = ops.convert_to_numpy(layer.attend(layer.project(x), edges, training=training))
        heard = (weights > 0).sum(1)
        print(f"training={training}: heard {heard.mean():.0f} on average, at least {heard.min()}")
        #> training=False: heard 6 on average, at least 1
        #> training=True: heard 2 on average, at least 0
