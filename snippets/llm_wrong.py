"""The mistake: a Dropout in front of a Dense with LoRA drops the frozen layer's input too."""

import keras
import numpy as np

from llm_lora import Lora

keras.utils.set_random_seed(0)
x = np.random.default_rng(0).normal(size=(100, 64)).astype("float32")
base = keras.layers.Dense(64)
pretrained = keras.ops.convert_to_numpy(base(x))
dense = keras.layers.Dense(64)
dense.build(x.shape)
dense.set_weights(base.get_weights())
dense.enable_lora(rank=4)  # Keras' own LoRA has no dropout, so somebody puts one in front

models = {
    "in front": keras.Sequential([keras.layers.Dropout(0.1), dense]),
    "in the branch": keras.Sequential([Lora(base, rate=0.1)]),
}
change = {}
for name, model in models.items():
    outputs = keras.ops.convert_to_numpy(model(x, training=True))
    # both branches start at zero, so the pretrained layer should be all there is
    change[name] = float(np.std(outputs - pretrained) / np.std(pretrained))
    print(f"{name:13} changes the pretrained outputs by {change[name]:.1f} of their size")
    #> in front      changes the pretrained outputs by 0.3 of their size
    #> in the branch changes the pretrained outputs by 0.0 of their size
