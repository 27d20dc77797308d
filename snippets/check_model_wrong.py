"""The mistake: training ran without a warning, so dropout must have been used as meant."""

import warnings

import keras
import numpy as np

from check_model import check_model


class Classifier(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = keras.layers.Dense(32, activation="relu")
        self.dropout = keras.layers.Dropout(0.5)
        self.out = keras.layers.Dense(2)

    def call(self, x):  # no `training`, so fit cannot switch dropout on
        return self.out(self.dropout(self.hidden(x)))


keras.utils.set_random_seed(0)
x = np.random.default_rng(0).normal(size=(256, 8)).astype("float32")
y = (x[:, 0] > 0).astype("int32")
model = Classifier()
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
with warnings.catch_warnings(record=True) as heard:
    warnings.simplefilter("always")
    loss = model.fit(x, y, epochs=5, verbose=0).history["loss"]

print("warnings:", len([w for w in heard if "dropout" in str(w.message).lower()]))
#> warnings: 0
print("loss fell:", loss[-1] < loss[0])
#> loss fell: True
for finding in check_model(model):
    print(finding.what)
    #> its call has no `training` argument, so fit cannot switch its dropout on
