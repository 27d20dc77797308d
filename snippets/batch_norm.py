"""Dense, BatchNormalization, ReLU, Dropout: do the norms meet the variance that they learnt?"""

import keras
import numpy as np


def block(units, rate, momentum=0.99):
    return [
        keras.layers.Dense(units, use_bias=False),  # the next layer's beta is its bias
        keras.layers.BatchNormalization(momentum=momentum),
        keras.layers.ReLU(),
        keras.layers.Dropout(rate),
    ]


def shifts(layers, x):
    """For each BatchNormalization the variance it learnt, divided by the variance at inference."""
    ratios = []
    for layer in layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            ratio = layer.moving_variance / (keras.ops.var(x, axis=0) + 1e-6)
            ratios.append(float(np.median(keras.ops.convert_to_numpy(ratio))))
        x = layer(x)
    return ratios


if __name__ == "__main__":
    x = np.random.default_rng(0).normal(size=(5000, 64)).astype("float32")
    for rates in ((0.5, 0.5), (0.2, 0.2), (0, 0.5)):
        keras.utils.set_random_seed(0)
        # momentum 0: the moving statistics are those of the last batch
        layers = block(256, rates[0], momentum=0) + block(256, rates[1], momentum=0)
        model = keras.Sequential([keras.Input((64,)), *layers, keras.layers.Dense(10)])
        model(x, training=True)
        print(f"Dropout {rates}: learnt / met = {np.round(shifts(layers, x), 1)}")
        #> Dropout (0.5, 0.5): learnt / met = [1.  2.5]
        #> Dropout (0.2, 0.2): learnt / met = [1.  1.4]
        #> Dropout (0, 0.5): learnt / met = [1. 1.]
