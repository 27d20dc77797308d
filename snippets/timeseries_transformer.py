"""The Transformer of the printed summary, rebuilt: its rows, its parameters and its dropouts."""

import keras
from keras import layers


def block(x, heads, size, rate):
    y = layers.LayerNormalization(epsilon=1e-6)(x)
    y = layers.MultiHeadAttention(heads, size, dropout=rate)(y, y)
    y = layers.Dropout(rate)(y)
    x = layers.Add()([x, y])
    y = layers.LayerNormalization(epsilon=1e-6)(x)
    y = layers.Conv1D(4, kernel_size=1, activation="relu")(y)
    y = layers.Dropout(rate)(y)
    y = layers.Conv1D(x.shape[-1], kernel_size=1)(y)
    return layers.Add()([x, y])


def transformer(length=500, features=None, size=256, blocks=4, pooling="channels_first"):
    series = keras.Input((length, 1))
    # the repair: `(batch, length, 1)` to `(batch, length, features)`
    x = layers.Dense(features)(series) if features else series
    for _ in range(blocks):
        x = block(x, heads=4, size=size, rate=0.25)
    x = layers.GlobalAveragePooling1D(data_format=pooling)(x)
    x = layers.Dense(128, activation="relu")(x)
    x = layers.Dropout(0.4)(x)
    return keras.Model(series, layers.Dense(2, activation="softmax")(x))


if __name__ == "__main__":
    model = transformer()
    for layer in (*model.layers[1:10], *model.layers[-4:]):  # one of the four blocks, then the head
        print(f"{type(layer).__name__:24}{layer.output.shape!s:17}{layer.count_params():6}")
        #> LayerNormalization      (None, 500, 1)        2
        #> MultiHeadAttention      (None, 500, 1)     7169
        #> Dropout                 (None, 500, 1)        0
        #> Add                     (None, 500, 1)        0
        #> LayerNormalization      (None, 500, 1)        2
        #> Conv1D                  (None, 500, 4)        8
        #> Dropout                 (None, 500, 4)        0
        #> Conv1D                  (None, 500, 1)        5
        #> Add                     (None, 500, 1)        0
        #> GlobalAveragePooling1D  (None, 500)           0
        #> Dense                   (None, 128)       64128
        #> Dropout                 (None, 128)           0
        #> Dense                   (None, 2)           258
    print("parameters:", model.count_params())
    #> parameters: 93130
    listed = [layer.rate for layer in model.layers if isinstance(layer, layers.Dropout)]
    print("listed dropouts:", *listed)
    #> listed dropouts: 0.25 0.25 0.25 0.25 0.25 0.25 0.25 0.25 0.4
    attention = [layer for layer in model.layers if isinstance(layer, layers.MultiHeadAttention)]
    print("inside attention:", *[layer.get_config()["dropout"] for layer in attention])
    #> inside attention: 0.25 0.25 0.25 0.25
