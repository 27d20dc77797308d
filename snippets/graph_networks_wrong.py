"""The mistake: Dropout in front of the softmax of graph attention, on its scores."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
edges = (rng.random((500, 500)) < 0.01) | np.eye(500, dtype=bool)
scores = np.where(edges, rng.normal(size=edges.shape), -1e9).astype("float32")
drop = layers.Dropout(0.6)

behind = ops.convert_to_numpy(drop(ops.softmax(scores), training=True))
in_front = ops.convert_to_numpy(ops.softmax(drop(scores, training=True)))
for name, weights in (("behind", behind), ("in front", in_front)):
    strangers = weights[~edges].sum() / weights.sum()
    heard = np.mean(weights[edges] > 0)
    print(f"{name}: neighbours heard {heard:.1f}, weight of strangers {strangers:.1f}")
    #> behind: neighbours heard 0.4, weight of strangers 0.0
    #> in front: neighbours heard 1.0, weight of strangers 0.9
