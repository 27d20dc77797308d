"""The mistakes: Dropout put into a list of layers, behind a nested base, on a short cut."""

import keras
import numpy as np

from insert_into_a_model import pretrained

keras.utils.set_random_seed(0)
model = pretrained()
base, head = model.layers
x = np.random.default_rng(0).normal(size=(1000, 20)).astype("float32")
before = model.predict(x, verbose=0)


def random(model):
    """Do two training calls differ?"""
    return not np.array_equal(*(keras.ops.convert_to_numpy(model(x, training=True)) for _ in "ab"))


base.layers.insert(2, keras.layers.Dropout(0.2))  # into a list made for you
print("layers of the base:", len(base.layers), " random inside:", random(base))
#> layers of the base: 4  random inside: False

appended = keras.Sequential([keras.Input((20,)), base, keras.layers.Dropout(0.2), head])
print("behind the base, random inside:", random(base), " the whole model:", random(appended))
#> behind the base, random inside: False  the whole model: True

# from the inside of the base straight to the head: `second` and `skip` are left out
first = base.get_layer("first").output
short = keras.Model(base.input, head(keras.layers.Dropout(0.2)(first)))
after = short.predict(x, verbose=0)
print("on a short cut, predictions the same:", np.array_equal(before, after))
#> on a short cut, predictions the same: False
