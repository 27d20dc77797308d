"""What does a Dropout layer change, and what does it leave as it is?"""

import keras
import numpy as np

numpy = keras.ops.convert_to_numpy

if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    layer = keras.layers.Dropout(0.5)
    x = np.random.default_rng(0).normal(size=(10_000, 128)).astype("float32")
    on, again, off = (numpy(layer(x, training=mode)) for mode in (True, True, False))

    print("shape:", on.shape, "weights:", layer.count_params())
    #> shape: (10000, 128) weights: 0
    print("a value is dropped or doubled:", np.all((on == 0) | (on == 2 * x)))
    #> a value is dropped or doubled: True
    print("dropped of 128, on average:", round((on == 0).sum(axis=1).mean()))
    #> dropped of 128, on average: 64
    print("always the same number:", len(set((on == 0).sum(axis=1))) == 1)
    #> always the same number: False
    print("the next call drops the same:", np.array_equal(on == 0, again == 0))
    #> the next call drops the same: False
    print("two rows with one mask:", len(np.unique(on == 0, axis=0)) < len(on))
    #> two rows with one mask: False
    print("in inference nothing happens:", np.array_equal(off, x))
    #> in inference nothing happens: True
    print(f"spread of the values, 1 before: {on.std():.1f}")  # it adds noise
    #> spread of the values, 1 before: 1.4
