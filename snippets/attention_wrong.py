"""The mistake: MultiHeadAttention(dropout=…) in place of the residual dropout."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
x = np.random.default_rng(0).normal(size=(200, 12, 16)).astype("float32")
attention = layers.MultiHeadAttention(2, 8, dropout=0.5)
plain = layers.MultiHeadAttention(2, 8)

instead = attention(x, x, training=True)  # drops links, and no feature of what comes out
residual = layers.Dropout(0.5)(plain(x, x, training=True), training=True)

branches = {"MultiHeadAttention(dropout=0.5)": instead, "Dropout(0.5) behind": residual}
for name, branch in branches.items():
    zero = keras.ops.convert_to_numpy(branch) == 0
    print(f"{name}: features of the branch set to zero {zero.mean():.1f}")
    #> MultiHeadAttention(dropout=0.5): features of the branch set to zero 0.0
    #> Dropout(0.5) behind: features of the branch set to zero 0.5
