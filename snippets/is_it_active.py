"""Is it active? Every source of randomness in a Keras model, and the phases in which it acts."""

import keras

from is_it_active_watch import acting, takes_training


def activity(model, x):
    """{layer: {phase: does it act?}}. The model stays as it is."""
    model(x)  # so that all its variables are there
    before = [(v, keras.ops.convert_to_numpy(v).copy()) for v in model.variables]
    state = model.trainable_variables, model.non_trainable_variables

    def step(training):  # what `fit`, `evaluate` and `predict` do, which pass variables in with JAX
        given = {"training": training} if takes_training(model) else {}
        jax = keras.backend.backend() == "jax"
        return model.stateless_call(*state, x, **given) if jax else model(x, **given)

    found = {
        "fit": acting(model, lambda: step(True)),
        "evaluate, predict": acting(model, lambda: step(False)),
        "model(x)": acting(model, lambda: model(x)),
        "model(x, training=True)": acting(model, lambda: model(x, training=True)),
    }
    sources = acting(model, lambda: model(x, training=True), force=True)
    for variable, value in before:
        variable.assign(value)
    return {name: {phase: on.get(name, False) for phase, on in found.items()} for name in sources}


if __name__ == "__main__":
    x = keras.Input((10, 8))
    y = keras.layers.GaussianNoise(0.1, name="noise")(x)
    y = keras.layers.LSTM(8, dropout=0.2, return_sequences=True, name="lstm")(y)
    y = keras.layers.MultiHeadAttention(2, 4, dropout=0.1, name="attention")(y, y)
    y = keras.layers.Dropout(0.5, name="forced")(y, training=True)
    report = activity(keras.Model(x, y), keras.ops.ones((4, 10, 8)))
    print(f"{'':24}" + "  ".join(report["model/noise"]))
    #>                         fit  evaluate, predict  model(x)  model(x, training=True)
    for layer, phases in report.items():
        cells = [f"{'on' if acts else '-':{len(phase)}}" for phase, acts in phases.items()]
        print(f"{layer:24}" + "  ".join(cells).rstrip())
        #> model/noise             on   -                  -         on
        #> model/lstm              on   -                  -         on
        #> model/attention/dropout on   -                  -         on
        #> model/forced            on   -                  on        on
