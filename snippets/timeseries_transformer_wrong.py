"""The mistake: pooling over time behind blocks that see nothing. Only a series' mean is left."""

import keras
import numpy as np

from timeseries_transformer import transformer

keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
model = transformer(pooling="channels_last")
model.set_weights([w + rng.normal(0, 0.05, w.shape) for w in model.get_weights()])
print("parameters:", model.count_params())
#> parameters: 29258

noise = rng.normal(size=(1, 500, 1))
wave = np.sin(np.linspace(0, 60, 500)).reshape(1, 500, 1)
series = np.concatenate([noise, wave])
series -= series.mean(axis=1, keepdims=True)  # as such data sets come: mean 0, deviation 1
series /= series.std(axis=1, keepdims=True)
shuffled = rng.permutation(series, axis=1)

answers = [keras.ops.convert_to_numpy(model(x))[:, 0] for x in (series, shuffled, series + 1)]
print("noise and a wave, same answer:   ", np.isclose(*answers[0], atol=1e-4))
#> noise and a wave, same answer:    True
print("shuffled in time, same answer:   ", np.allclose(answers[0], answers[1], atol=1e-4))
#> shuffled in time, same answer:    True
print("another mean, another answer:    ", not np.allclose(answers[0], answers[2], atol=1e-4))
#> another mean, another answer:     True
