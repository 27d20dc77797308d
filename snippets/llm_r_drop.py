"""R-Drop: two training passes with two masks, and a penalty for how much they disagree."""

import keras
import numpy as np
from keras import ops


def disagreement(a, b):
    """The symmetric Kullback-Leibler divergence of two arrays of logits, averaged over examples."""
    p, q = ops.log_softmax(a), ops.log_softmax(b)
    return ops.mean(ops.sum((ops.exp(p) - ops.exp(q)) * (p - q), axis=-1)) / 2


class RDrop(keras.Model):
    """A model of logits under R-Drop (Liang et al., 2021): two losses and `alpha` penalties."""

    def __init__(self, model, alpha=1.0):
        super().__init__()
        self.model, self.alpha = model, alpha

    def call(self, x, training=None):
        return self.model(x, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        if not training:
            return loss
        again = self(x, training=True)  # the same weights, another mask
        loss = loss + super().compute_loss(x, y, again, sample_weight, training)
        return loss + self.alpha * disagreement(y_pred, again)


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(256, 20)).astype("float32")
    for rate in (0.0, 0.5):
        hidden = keras.layers.Dense(128, "relu")
        network = keras.Sequential([hidden, keras.layers.Dropout(rate), keras.layers.Dense(5)])
        model = RDrop(network, alpha=1.0)
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        gap = float(disagreement(model(x, training=True), model(x, training=True)))
        model.fit(x, np.arange(256) % 5, epochs=2, verbose=0)
        loss = [model.evaluate(x, np.arange(256) % 5, verbose=0) for _ in range(2)]
        print(f"rate {rate}: two passes disagree: {gap > 0!s:5}", end=" ")
        print("evaluate repeats itself:", loss[0] == loss[1])
        #> rate 0.0: two passes disagree: False evaluate repeats itself: True
        #> rate 0.5: two passes disagree: True  evaluate repeats itself: True
