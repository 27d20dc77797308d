"""The mistake: Dropout in front of max pooling and of a sigmoid. Neither sees zeros as off."""

import keras
import numpy as np

keras.utils.set_random_seed(0)
images = np.random.default_rng(0).random((200, 32, 32, 3), dtype="float32")
model = keras.Sequential(
    [
        keras.Input((32, 32, 3)),
        keras.layers.Conv2D(16, 3, activation="relu", padding="same"),
        keras.layers.Dropout(0.5),  # the pool takes the largest of those that are kept, doubled
        keras.layers.MaxPooling2D(),
        keras.layers.Flatten(),
        keras.layers.Dense(64),
        keras.layers.Dropout(0.5),  # a dropped unit enters the sigmoid as 0 and leaves it as 0.5
        keras.layers.Activation("sigmoid"),
    ]
)
probe = keras.Model(model.inputs[0], [layer.output for layer in model.layers])
on = [keras.ops.convert_to_numpy(out) for out in probe(images, training=True)]
off = [keras.ops.convert_to_numpy(out) for out in probe(images, training=False)]

print(f"pooled, training / inference: {on[2].mean() / off[2].mean():.1f}")
#> pooled, training / inference: 1.4
dropped = on[5] == 0
print(f"dropped in front of the sigmoid: {dropped.mean():.1f}, off behind it: {(on[6] == 0).sum()}")
#> dropped in front of the sigmoid: 0.5, off behind it: 0
print(f"what the dropped ones put out: {np.unique(on[6][dropped])}")
#> what the dropped ones put out: [0.5]
