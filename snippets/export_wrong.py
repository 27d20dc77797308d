"""The mistake: masks of zeros and ones, without the factor that Keras' Dropout has."""

import keras
import numpy as np

from export import draw, network, with_masks

keras.utils.set_random_seed(0)
model = network(rate=0.5)
masked, rng = with_masks(model), np.random.default_rng(0)
x = rng.normal(size=(50, 8)).astype("float32")
prediction = model.predict(x, verbose=0)[:, 0]

masks = draw(50 * 400, (64,), 0.5, rng)  # 400 for each of the 50 examples
for name, given in {"zeros and ones": masks * 0.5, "zeros and 1 / (1 - rate)": masks}.items():
    outputs = keras.ops.convert_to_numpy(masked([np.repeat(x, 400, axis=0), given]))
    mean = outputs.reshape(50, 400).mean(axis=1)
    slope = np.sum(mean * prediction) / np.sum(prediction**2)
    print(f"{name:25} mean over the masks, relative to the prediction: {slope:.1f}")
    #> zeros and ones            mean over the masks, relative to the prediction: 0.5
    #> zeros and 1 / (1 - rate)  mean over the masks, relative to the prediction: 1.0
