"""TensorFlow: a training step with GradientTape, dropout on in it and off in validation."""

import keras
import numpy as np
import tensorflow as tf

from custom_training import network

keras.utils.set_random_seed(0)
model, optimizer, loss_of = network(), keras.optimizers.Adam(), keras.losses.MeanSquaredError()
x = tf.random.normal((256, 8))
y = x[:, :1] ** 2


@tf.function(autograph=False)  # no Python branches or loops in it
def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = loss_of(y, model(x, training=True)) + sum(model.losses)  # penalties, if any
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply(gradients, model.trainable_variables)
    return loss


@tf.function(autograph=False)  # no Python branches or loops in it
def validate(x, y):
    return loss_of(y, model(x, training=False))


before = validate(x[192:], y[192:])
for _ in range(20):
    for start in range(0, 192, 32):
        train_step(x[start : start + 32], y[start : start + 32])
print("validation loss fell:", bool(validate(x[192:], y[192:]) < before))
#> validation loss fell: True

optimizer.learning_rate = 0.0  # nothing is learned any more, so only the masks can differ
print("two steps, one loss:", np.isclose(train_step(x, y), train_step(x, y)))
#> two steps, one loss: False
print("two validations, one loss:", np.isclose(validate(x, y), validate(x, y)))
#> two validations, one loss: True
