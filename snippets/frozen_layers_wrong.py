"""The mistake: freezing the Dropout layers to switch them off while a model is fine-tuned."""

import keras
import numpy as np

keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input((100,)),
        keras.layers.Dense(100, activation="relu"),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(1),
    ]
)
unfrozen = len(model.trainable_weights)
for layer in model.layers:
    if isinstance(layer, keras.layers.Dropout):
        layer.trainable = False  # it has no weights, and still drops
print("weights frozen by it:", unfrozen - len(model.trainable_weights))
#> weights frozen by it: 0

x = np.random.default_rng(0).normal(size=(1000, 100)).astype("float32")
probe = keras.Model(model.inputs[0], [layer.output for layer in model.layers[:2]])
active, dropped = (keras.ops.convert_to_numpy(out) for out in probe(x, training=True))
share = np.mean(dropped[active > 0] == 0)
print(f"dropped in training: {share:.2f}")
#> dropped in training: 0.50

for layer in model.layers:
    if isinstance(layer, keras.layers.Dropout):
        layer.rate = 0  # before the first step; this switches it off
off = keras.ops.convert_to_numpy(probe(x, training=True)[1])
print(f"with rate 0: {np.mean(off[active > 0] == 0):.2f}")
#> with rate 0: 0.00
