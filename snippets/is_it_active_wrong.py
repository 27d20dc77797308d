"""The mistake: to look for Dropout layers, or to compare predictions: `fit` is another matter."""

import keras

from is_it_active import activity


class Silent(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense, self.dropout = keras.layers.Dense(8), keras.layers.Dropout(0.5)

    def call(self, inputs):  # `fit` cannot say that it trains
        return self.dropout(self.dense(inputs))


recurrent = keras.Sequential([keras.layers.LSTM(8, dropout=0.5), keras.layers.Dense(1)])
for model, x in ((Silent(), keras.ops.ones((4, 8))), (recurrent, keras.ops.ones((4, 10, 8)))):
    found = sum(isinstance(layer, keras.layers.Dropout) for layer in model.layers)
    first, second = model.predict(x, verbose=0), model.predict(x, verbose=0)
    differ = bool((first != second).any())
    in_fit = any(phases["fit"] for phases in activity(model, x).values())
    print(f"Dropout layers: {found}, predictions differ: {differ}, random in fit: {in_fit}")
    #> Dropout layers: 1, predictions differ: False, random in fit: False
    #> Dropout layers: 0, predictions differ: False, random in fit: True
