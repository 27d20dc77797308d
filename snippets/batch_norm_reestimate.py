"""Give the BatchNormalization layers of a trained Sequential model the statistics of inference."""

import keras

from fair_comparison import digits


def reestimate(layers, x):
    """Set the moving statistics from training inputs, front to back, with Dropout off."""
    for layer in layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            mean, variance = keras.ops.moments(x, axes=list(range(len(x.shape) - 1)))
            layer.moving_mean.assign(mean)
            layer.moving_variance.assign(variance)
        x = layer(x)


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    x_train, y_train, x_test, y_test = (a[:, 0] for a in digits(500, replicas=1, noise=0.3))
    layers = []
    for _ in range(3):
        layers += [keras.layers.Dense(64), keras.layers.Dropout(0.5)]
        layers += [keras.layers.BatchNormalization(), keras.layers.ReLU()]
    model = keras.Sequential([keras.Input((64,)), *layers, keras.layers.Dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    model.fit(x_train, y_train, batch_size=32, epochs=40, verbose=0)

    before = model.evaluate(x_test, y_test, verbose=0)
    reestimate(model.layers, x_train)
    after = model.evaluate(x_test, y_test, verbose=0)
    print("the test loss falls:", after < before)
    #> the test loss falls: True
