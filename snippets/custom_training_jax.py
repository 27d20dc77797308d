"""JAX: a training step with stateless_call; the masks come from the state that it returns."""

import jax
import keras

from custom_training import network

keras.utils.set_random_seed(0)
model, optimizer = network(), keras.optimizers.Adam(0.003)
x = jax.random.normal(jax.random.key(0), (256, 8))
y = x[:, :1] ** 2
model.build(x.shape)
optimizer.build(model.trainable_variables)


def loss_of(trainable, state, x, y, training):
    outputs, state = model.stateless_call(trainable, state, x, training=training)
    return keras.losses.mean_squared_error(y, outputs).mean(), state


@jax.jit
def train_step(trainable, state, slots, x, y):
    gradient = jax.value_and_grad(loss_of, has_aux=True)
    (loss, state), gradients = gradient(trainable, state, x, y, training=True)
    trainable, slots = optimizer.stateless_apply(slots, gradients, trainable)
    return loss, trainable, state, slots


trainable = [v.value for v in model.trainable_variables]
state = [v.value for v in model.non_trainable_variables]  # the seeds of the Dropout layers are here
slots = [v.value for v in optimizer.variables]
before, _ = loss_of(trainable, state, x[192:], y[192:], training=False)
for _ in range(20):
    for start in range(0, 192, 32):
        batch = x[start : start + 32], y[start : start + 32]
        _, trainable, state, slots = train_step(trainable, state, slots, *batch)
after, _ = loss_of(trainable, state, x[192:], y[192:], training=False)
print("validation loss fell:", bool(after < before))
#> validation loss fell: True

first, _, new_state, _ = train_step(trainable, state, slots, x, y)
again, *_ = train_step(trainable, state, slots, x, y)
other, *_ = train_step(trainable, new_state, slots, x, y)
print("the same state, the same masks:", bool(first == again))
#> the same state, the same masks: True
print("the state returned, new masks:", bool(first != other))
#> the state returned, new masks: True
