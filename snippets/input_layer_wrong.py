"""The mistake: Dropout in front of an Embedding turns words into other words."""

import keras
import numpy as np

keras.utils.set_random_seed(0)
words = np.array([[4, 8, 12, 16, 20, 24, 28, 32]] * 2, dtype="float32")  # token ids

ids = keras.Input((8,))  # float32, since nothing else was said
dropped = keras.layers.Dropout(0.2)(ids)
model = keras.Model(ids, [dropped, keras.layers.Embedding(100, 3)(dropped)])

dropped, _ = model(words, training=True)
print("ids put in: ", words[0].astype(int))
#> ids put in:  [ 4  8 12 16 20 24 28 32]
print("ids read:   ", np.unique(keras.ops.convert_to_numpy(dropped).astype(int)))
#> ids read:    [ 0  5 10 15 20 25 30 35 40]

try:  # with integer ids, as they should be, the same layer refuses to train
    keras.layers.Dropout(0.2)(words.astype("int32"), training=True)
except Exception:
    print("integer ids: an error in training")
    #> integer ids: an error in training
