"""Two mistakes: to raise a rate of zero, and to take a layer out of a list that is only a copy."""

import keras

x = keras.ops.ones((4, 100))
layer = keras.layers.Dropout(0.0)
layer.rate = 0.5
try:
    layer(x, training=True)
except AttributeError as error:  # made with a rate of 0, it has nothing to draw masks with
    print(type(error).__name__, "about the seed_generator:", "seed_generator" in str(error))
    #> AttributeError about the seed_generator: True

inputs = keras.Input((100,))
model = keras.Model(inputs, keras.layers.Dropout(0.5)(inputs))
model.layers.pop()  # a list made for you; the graph of the model is another matter
zeros = keras.ops.convert_to_numpy(model(x, training=True)) == 0
print(f"layers: {len(model.layers)}, still drops: {zeros.any()}")
#> layers: 2, still drops: True
