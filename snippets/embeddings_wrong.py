"""The mistake: Dropout in front of the Embedding, on the word ids."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
ids = np.random.default_rng(0).integers(1, 50, size=(500, 20))

try:
    layers.Dropout(0.5)(ids, training=True)
except Exception:  # each backend has its own
    print("integers are refused")
    #> integers are refused

# an Input without dtype="int32" makes them floats, and then it runs
model = keras.Sequential([keras.Input((20,)), layers.Dropout(0.5), layers.Embedding(100, 8)])
dropped = keras.ops.convert_to_numpy(model.layers[0](ids.astype("float32"), training=True))
print(f"ids that became 0, the padding: {(dropped == 0).mean():.1f}")
#> ids that became 0, the padding: 0.5
print(f"ids that became another word's, doubled: {(dropped == 2 * ids).mean():.1f}")
#> ids that became another word's, doubled: 0.5
print(f"ids that stayed: {(dropped == ids).mean():.1f}")
#> ids that stayed: 0.0
print("output of the model:", tuple(model(ids, training=True).shape))
#> output of the model: (500, 20, 8)
