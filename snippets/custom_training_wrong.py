"""Two mistakes in a loop of one's own: a forgotten `training=True`, and a state thrown away."""

import keras
import numpy as np

keras.utils.set_random_seed(0)
model = keras.Sequential([keras.Input((1000,)), keras.layers.Dropout(0.5, seed=1)])
x = keras.ops.ones((1, 1000))


def share(outputs):
    return np.mean(keras.ops.convert_to_numpy(outputs) == 0)


print(f"model(x), zeros: {share(model(x)):.2f}")
#> model(x), zeros: 0.00

# a stateless step whose new state is not kept: the same units are dropped in every step
trainable, state = model.trainable_variables, model.non_trainable_variables
kept, masks = [v.value for v in state], []
for _ in range(3):
    outputs, _ = model.stateless_call(trainable, kept, x, training=True)
    masks.append(keras.ops.convert_to_numpy(outputs) == 0)
print("three steps, different masks:", len(np.unique(masks, axis=0)))
#> three steps, different masks: 1

masks = []
for _ in range(3):
    outputs, kept = model.stateless_call(trainable, kept, x, training=True)
    masks.append(keras.ops.convert_to_numpy(outputs) == 0)
print("the state kept, different masks:", len(np.unique(masks, axis=0)))
#> the state kept, different masks: 3
