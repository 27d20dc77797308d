"""What the four blocks compute: one constant. So an MLP gives the same answers."""

import keras
import numpy as np

from timeseries_transformer import transformer


def added(model, series):
    """What the blocks add to what enters them, `(batch, length, features)`."""
    entrance = next(x for x in model.layers if isinstance(x, keras.layers.LayerNormalization))
    exit_ = [x for x in model.layers if isinstance(x, keras.layers.Add)][-1]
    before, after = keras.Model(model.inputs[0], [entrance.input, exit_.output])(series)
    return keras.ops.convert_to_numpy(after - before)


def twin(model):
    """The MLP on the raw series that answers as the model does at inference."""
    first, last = (x for x in model.layers if isinstance(x, keras.layers.Dense))
    constant = added(model, np.zeros((1, *model.input_shape[1:]), "float32")).mean()
    mlp = keras.Sequential(
        [
            keras.Input(model.input_shape[1:]),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dropout(0.4),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    kernel, bias = first.get_weights()
    mlp.set_weights([kernel, bias + constant * kernel.sum(axis=0), *last.get_weights()])
    return mlp


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    series = rng.normal(size=(64, 500, 1)).astype("float32")
    original, repaired = transformer(), transformer(features=16)
    for model in (original, repaired):  # no weight stays where it started
        model.set_weights([w + rng.normal(0, 0.05, w.shape) for w in model.get_weights()])

    varies = [added(model, series).std(axis=(0, 1)).max() > 0.01 for model in (original, repaired)]
    print("what the original's blocks add depends on the series:", varies[0])
    #> what the original's blocks add depends on the series: False
    print("what the repaired blocks add depends on the series:  ", varies[1])
    #> what the repaired blocks add depends on the series:   True
    mlp = twin(original)
    print("parameters:", original.count_params(), "and of the MLP:", mlp.count_params())
    #> parameters: 93130 and of the MLP: 64386
    ours, theirs = (keras.ops.convert_to_numpy(model(series)) for model in (original, mlp))
    print("same probabilities:", np.allclose(ours, theirs, atol=1e-4))
    #> same probabilities: True
