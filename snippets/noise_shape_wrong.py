"""The mistakes: a 1 on the axis that should be dropped, and a batch size in `noise_shape`."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
ones = np.ones((100, 20, 8), "float32")  # `(batch, steps, features)`

for shape in ((None, 1, None), (None, None, 1)):  # meant to drop steps
    dropped = layers.Dropout(0.5, noise_shape=shape)(ones, training=True)
    steps = (keras.ops.convert_to_numpy(dropped) == 0).all(axis=2)
    print(f"noise_shape={shape}: steps dropped whole {steps.mean():.1f}")
    #> noise_shape=(None, 1, None): steps dropped whole 0.0
    #> noise_shape=(None, None, 1): steps dropped whole 0.5

for shape in ((32, 1, 8), (None, 1, None)):  # 100 samples: three batches of 32, and one of 4
    dropout = layers.Dropout(0.5, noise_shape=shape)
    model = keras.Sequential([keras.Input((20, 8)), dropout, layers.Flatten(), layers.Dense(1)])
    model.compile("sgd", "mse")
    try:
        model.fit(ones, ones[:, 0, :1], batch_size=32, verbose=0)
        result = "trained"
    except Exception:  # each backend has its own
        result = "fails in the last batch"
    print(f"noise_shape={shape}: {result}")
    #> noise_shape=(32, 1, 8): fails in the last batch
    #> noise_shape=(None, 1, None): trained
