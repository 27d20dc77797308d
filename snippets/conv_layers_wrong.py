"""The mistake: Dropout in front of max pooling, which then picks what was scaled up."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
maps = np.ones((100, 28, 28, 32), "float32")  # neighbours are alike, as in most feature maps
pool, drop = layers.MaxPooling2D(), layers.Dropout(0.5)


def mean(values):
    return keras.ops.convert_to_numpy(values).mean()


front, behind = pool(drop(maps, training=True)), drop(pool(maps), training=True)
print(f"Dropout, MaxPooling2D: {mean(front):.1f} in training, {mean(pool(drop(maps))):.1f} after")
#> Dropout, MaxPooling2D: 1.9 in training, 1.0 after
print(f"MaxPooling2D, Dropout: {mean(behind):.1f} in training, {mean(drop(pool(maps))):.1f} after")
#> MaxPooling2D, Dropout: 1.0 in training, 1.0 after
