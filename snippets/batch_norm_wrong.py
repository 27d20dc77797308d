"""The mistake: Dropout in front of BatchNormalization, which learns a variance that is too big."""

import keras
import numpy as np

keras.utils.set_random_seed(0)
layers, norms = [], []
for _ in range(4):
    # momentum 0: the moving statistics are those of the last batch
    norms.append(keras.layers.BatchNormalization(momentum=0))
    layers += [keras.layers.Dense(256), keras.layers.Dropout(0.5), norms[-1], keras.layers.ReLU()]
model = keras.Sequential([keras.Input((64,)), *layers])
probe = keras.Model(model.inputs[0], [norm.output for norm in norms])


def variances(outputs):
    return [float(keras.ops.mean(keras.ops.var(out, axis=0))) for out in outputs]


x = np.random.default_rng(0).normal(size=(5000, 64)).astype("float32")
training, inference = variances(probe(x, training=True)), variances(probe(x, training=False))
for number, (on, off) in enumerate(zip(training, inference, strict=True), start=1):
    print(f"norm {number} puts out a variance of {on:.1f} in training, {off:.1f} at inference")
    #> norm 1 puts out a variance of 1.0 in training, 0.5 at inference
    #> norm 2 puts out a variance of 1.0 in training, 0.2 at inference
    #> norm 3 puts out a variance of 1.0 in training, 0.1 at inference
    #> norm 4 puts out a variance of 1.0 in training, 0.0 at inference
