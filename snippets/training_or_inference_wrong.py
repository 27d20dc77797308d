"""Three mistakes in Keras 3.0 to 3.15: the share of zeros is not what the code seems to say."""

import keras

from training_or_inference import ones, phases


class NoArgument(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense, self.dropout = ones(), keras.layers.Dropout(0.5)

    def call(self, inputs):  # `fit` cannot say that it trains
        return self.dropout(self.dense(inputs))


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    x = keras.Input((100,))

    # meant to drop in `predict` too, as it did in Keras 2
    always = phases(keras.Model(x, keras.layers.Dropout(0.5)(ones()(x), training=True)))
    print(f"training=True in the graph:  predict {always['predict']:.2f}")
    #> training=True in the graph:  predict 0.00
    # meant to keep the dropout of a base model off, as it did in Keras 2
    base = keras.Sequential([keras.Input((100,)), ones(), keras.layers.Dropout(0.5)])
    never = phases(keras.Model(x, base(x, training=False)))
    print(f"base(x, training=False):     fit     {never['fit']:.2f}")
    #> base(x, training=False):     fit     0.50
    # meant to train with dropout, as it did in Keras 2
    silent = phases(NoArgument())
    print(f"call without training:       fit     {silent['fit']:.2f}")
    #> call without training:       fit     0.00
