"""Does dropout go before or after the activation, and before or after pooling?"""

import keras
import numpy as np
import pytest
from activation_order import both_orders
from fair_comparison import dense, digits, evaluate

numpy = keras.ops.convert_to_numpy
layers = keras.layers
N, REPLICAS = 1_000_000, 12


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=N).astype("float32")


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.8])
def test_with_relu_the_order_changes_nothing(claim, x, rate):
    """With ReLU both orders give the same values for equal masks, to the last bit and at each rate that we tried."""
    front, behind = both_orders(layers.ReLU(), x, rate)
    claim.exact(f"same_{rate * 10:.0f}", np.array_equal(front, behind), True)


@pytest.mark.parametrize("name", ["linear", "leaky_relu", "prelu"])
def test_with_its_kin_the_order_changes_nothing(claim, x, name):
    """Without an activation, with LeakyReLU and with PReLU both orders agree too: to the last bit at rate 0.5, and to
    rounding at 0.3."""
    layer = {"linear": layers.Activation("linear"), "leaky_relu": layers.LeakyReLU(), "prelu": layers.PReLU("ones")}
    values = x[:1000].reshape(-1, 1)  # of one unit, so PReLU has one slope
    front, behind = both_orders(layer[name], values, 0.5)
    claim.exact(f"{name}_same", np.array_equal(front, behind), True)
    front, behind = both_orders(layer[name], values, 0.3)
    claim.close(f"{name}_at_3", np.abs(front - behind).max(), 0, 1e-5)


def test_with_other_activations_it_does(claim, x):
    """With tanh, sigmoid, GELU, ELU, SELU, SiLU, softplus and ReLU6 the orders differ: {differing} of {tried}."""
    names = ("tanh", "sigmoid", "gelu", "elu", "selu", "silu", "softplus", "relu6")
    differing = 0
    for name in names:
        front, behind = both_orders(layers.Activation(name), 3 * x[:1000], 0.5)
        differing += bool(np.abs(front - behind).max() > 0.1)
    claim.exact("differing", differing, 8)
    claim.exact("tried", len(names), 8)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "gelu"])
def test_in_front_of_a_curve_the_mean_shifts(claim, name):
    """In front of a curved activation the mean shifts, behind it does not: for an input of 1 at rate 0.5, a tanh unit
    has a mean of {tanh_front:.2f} in training with Dropout in front, {tanh_behind:.2f} with it behind, and {tanh:.2f}
    at inference. For a sigmoid these are {sigmoid_front:.2f}, {sigmoid_behind:.2f} and {sigmoid:.2f}, for a GELU
    {gelu_front:.2f}, {gelu_behind:.2f} and {gelu:.2f}."""
    layer = layers.Activation(name)
    at = [float(v) for v in numpy(layer(np.array([0, 1, 2], "float32")))]
    front, behind = (y.astype("float64") for y in both_orders(layer, np.ones(N, "float32"), 0.5))
    # r·f(0) + (1 − r)·f(x / (1 − r)) in front, f(x) behind
    claim.sampled(f"{name}_front", front.mean(), (at[0] + at[2]) / 2, front.std() / N**0.5, N)
    claim.sampled(f"{name}_behind", behind.mean(), at[1], behind.std() / N**0.5, N)
    expected = {"tanh": np.tanh(1), "sigmoid": 1 / (1 + np.exp(-1)), "gelu": 0.8413447}[name]
    claim.close(name, at[1], expected, 1e-3)


def test_a_unit_dropped_in_front_of_a_sigmoid_is_not_off(claim):
    """A unit dropped in front of a sigmoid puts out {dropped_sigmoid:.1f}, and in front of a softplus
    {dropped_softplus:.2f}: it is not off. Behind the activation it puts out {dropped_behind:.0f}."""
    ones = np.ones((1, 1000), "float32")
    for name, expected in (("sigmoid", 0.5), ("softplus", np.log(2))):
        front, behind = both_orders(layers.Activation(name), ones, 0.5)
        claim.close(f"dropped_{name}", front.min(), expected, 1e-5)
    claim.exact("dropped_behind", float(behind.min()), 0.0)


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_in_front_of_max_pooling_the_mean_shifts(claim, rate):
    """In front of a 2×2 max pooling the mean shifts, for four equal activations by (1 − r⁴)/(1 − r): to {front_2:.2f}
    times its value at rate 0.2 and to {front_5:.2f} times at 0.5. Behind it stays, {behind_5:.2f}."""
    front, behind = both_orders(layers.MaxPooling2D(2), np.ones((250, 64, 64, 1), "float32"), rate)
    name = f"{rate * 10:.0f}"
    for order, y, expected in (("front", front, (1 - rate**4) / (1 - rate)), ("behind", behind, 1)):
        y = y.astype("float64")
        claim.sampled(f"{order}_{name}", y.mean(), expected, y.std() / y.size**0.5, y.size)
    claim.share(f"zero_front_{name}", front == 0, rate**4)
    claim.share(f"zero_behind_{name}", behind == 0, rate)


def test_unequal_activations_shift_less(claim):
    """Of unequal activations, 4, 3, 2 and 1, max pooling behind `Dropout(0.5)` makes {unequal:.2f} on average where
    inference has {inference:.0f}: each kept value is doubled, and the largest kept one wins."""
    windows = np.tile(np.array([[4, 3], [2, 1]], "float32"), (400, 500))[None, :, :, None]
    pool = layers.MaxPooling2D(2)
    front, _ = both_orders(pool, windows, 0.5)
    front = front.astype("float64")
    expected = sum(0.5**k * value for k, value in enumerate((4, 3, 2, 1)))
    claim.sampled("unequal", front.mean(), expected, front.std() / front.size**0.5, front.size)
    claim.exact("inference", float(numpy(pool(windows)).mean()), 4.0)


def test_average_pooling_keeps_the_mean_in_either_order(claim):
    """Average pooling keeps the mean in either order, {mean_front:.2f} and {mean_behind:.2f}, and averages the noise of
    a Dropout in front: over an 8×8 map of ones its standard deviation is {sd_front:.3f}, against {sd_behind:.2f}
    behind."""
    front, behind = both_orders(layers.GlobalAveragePooling2D(), np.ones((2000, 8, 8, 16), "float32"), 0.5)
    for name, y, sd in (("front", front, 1 / 8), ("behind", behind, 1)):
        claim.sampled(f"mean_{name}", y.mean(), 1, sd / y.size**0.5, y.size)
        y = y.astype("float64")
        claim.sampled(f"sd_{name}", y.std(), sd, max(sd / (2 * y.size) ** 0.5, 0.002 * sd), y.size)


def test_spatial_dropout_commutes_with_pooling(claim, x):
    """SpatialDropout2D drops whole maps, so before or after a max pooling is the same to the last bit, and before a
    global average pooling it is Dropout behind it, to rounding."""
    maps = x[: 100 * 8 * 8 * 16].reshape(100, 8, 8, 16)
    pool, mean = layers.MaxPooling2D(2), layers.GlobalAveragePooling2D()
    front = pool(layers.SpatialDropout2D(0.5, seed=0)(maps, training=True))
    behind = layers.SpatialDropout2D(0.5, seed=0)(pool(maps), training=True)
    claim.exact("max", np.array_equal(numpy(front), numpy(behind)), True)
    front = mean(layers.SpatialDropout2D(0.5, seed=0)(maps, training=True))
    behind = layers.Dropout(0.5, seed=0)(mean(maps), training=True)
    claim.close("average", np.abs(numpy(front) - numpy(behind)).max(), 0, 1e-6)


def test_in_front_of_max_pooling_a_trained_network_has_a_higher_loss(claim):
    """In a network of 256 ReLU units pooled by fours, on 500 clean digits, Dropout(0.5) in front of the max pooling has
    a test loss higher by {pooled_loss.interval:.3f} than the same behind it, over {pooled_loss.n} paired replicas;
    accuracy differs by {pooled_accuracy.interval:+.2f} percentage points."""
    data = digits(500, REPLICAS)

    def network(front):
        pool = [layers.Reshape((REPLICAS * 64, 4)), layers.MaxPooling1D(4, data_format="channels_first")]
        drop = layers.Dropout(0.5)
        middle = [drop, *pool] if front else [*pool, drop]
        return [dense(REPLICAS, 256, "relu"), *middle, layers.Reshape((REPLICAS, 64)), dense(REPLICAS, 10)]

    (accuracy, loss), (accuracy_, loss_) = (evaluate(lambda f=f: network(f), data, epochs=40) for f in (True, False))
    claim.trained("pooled_loss", loss - loss_, above=0)
    claim.trained("pooled_accuracy", accuracy - accuracy_, above=-3, below=3)


def test_behind_a_regression_output_predictions_shrink(claim):
    """Behind a regression output with a squared error, Dropout shrinks what is predicted to (1 − r)·y: trained on a
    target of 10 at rate 0.5, the network predicts {predicted:.2f} at inference."""
    keras.utils.set_random_seed(0)
    ones = np.ones((1000, 1), "float32")
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1), layers.Dropout(0.5)])
    model.compile(keras.optimizers.SGD(0.05), "mse")
    model.fit(ones, 10 * ones, batch_size=20, epochs=2, verbose=0)
    claim.close("predicted", numpy(model(ones[:1]))[0, 0], 5, 0.01)


def test_in_front_of_pool_and_sigmoid_it_is_not_what_inference_sees(claim, program):
    """The wrong twin: with Dropout in front of them a max pooling puts out {pooled:.2f} times its value at inference,
    and of the units dropped in front of a sigmoid {off} are off."""
    twin = program("activation_order_wrong")
    on, off = twin["on"], twin["off"]
    claim.close("pooled", on[2].mean() / off[2].mean(), 1.44, 0.15)
    claim.exact("off", int((on[6][twin["dropped"]] == 0).sum()), 0)
    claim.share("dropped", twin["dropped"], 0.5)
