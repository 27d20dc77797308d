"""A small CNN with a kernel for each replica, so that pairs of CNNs train as one model."""

import numpy as np
from keras import layers, ops

from fair_comparison import dense, digits, evaluate, glorot


class Convolution(layers.Layer):
    """3×3 and ReLU, replica after replica: `(replicas · batch, height, width, maps)`."""

    def __init__(self, replicas, filters):
        super().__init__()
        self.replicas, self.filters = replicas, filters

    def build(self, shape):
        size = (self.replicas, 9 * shape[-1], self.filters)
        self.kernel = self.add_weight(shape=size, initializer=glorot)
        self.bias = self.add_weight(shape=(self.replicas, 1, self.filters), initializer="zeros")

    def compute_output_shape(self, shape):  # JAX cannot tell that the batch divides by the replicas
        return (*shape[:-1], self.filters)

    def call(self, x):
        _, h, w, maps = x.shape
        x = ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        # the 3×3 neighbourhood of each pixel: one product for each replica convolves
        patches = [x[:, i : i + h, j : j + w] for i in range(3) for j in range(3)]
        patches = ops.reshape(ops.concatenate(patches, -1), (self.replicas, -1, 9 * maps))
        y = ops.relu(ops.matmul(patches, self.kernel) + self.bias)
        return ops.reshape(y, (-1, h, w, self.filters))


def cnn(replicas, front=None, behind=None, head=0.0, pool=layers.MaxPooling2D):
    """Layers for digits of 8×8: `front()` and `behind()` make what drops around each pooling."""
    nothing = layers.Identity
    front, behind = front or nothing, behind or nothing

    def rows(x):
        return ops.swapaxes(ops.reshape(x, (replicas, -1, 128)), 0, 1)

    apart = layers.Lambda(lambda x: ops.reshape(ops.swapaxes(x, 0, 1), (-1, 8, 8, 1)))
    together = layers.Lambda(rows, output_shape=(replicas, 128))
    blocks = [[Convolution(replicas, n), front(), pool(2), behind()] for n in (16, 32)]
    hidden = [dense(replicas, 64, "relu"), layers.Dropout(head), dense(replicas, 10)]
    return [apart, *blocks[0], *blocks[1], together, *hidden]


if __name__ == "__main__":
    data = digits(100, replicas=4)
    without, _ = evaluate(lambda: cnn(4), data, epochs=20)
    dropped, _ = evaluate(lambda: cnn(4, head=0.5), data, epochs=20)
    print("four pairs, above chance:", bool(np.all(np.concatenate([without, dropped]) > 30)))
    #> four pairs, above chance: True
