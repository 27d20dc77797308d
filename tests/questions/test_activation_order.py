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
    """With ReLU both orders give the same values, to the last bit, for equal masks and at every rate that we tried."""
    front, behind = both_orders(layers.ReLU(), x, rate)
    claim.exact(f"same_{rate * 10:.0f}", np.array_equal(front, behind), True)


@pytest.mark.parametrize("name", ["linear", "leaky_relu", "prelu"])
def test_with_its_kin_the_order_changes_nothing(claim, x, name):
    """With no activation, LeakyReLU and PReLU both orders agree as well, to the last bit at rate 0.5 and to rounding at
    0.3."""
    layer = {"linear": layers.Activation("linear"), "leaky_relu": layers.LeakyReLU(), "prelu": layers.PReLU("ones")}
    values = x[:1000].reshape(-1, 1)  # of one unit, so that PReLU has one slope
    front, behind = both_orders(layer[name], values, 0.5)
    claim.exact(f"{name}_same", np.array_equal(front, behind), True)
    front, behind = both_orders(layer[name], values, 0.3)
    claim.close(f"{name}_at_3", np.abs(front - behind).max(), 0, 1e-6)


SMOOTH = ("tanh", "sigmoid", "gelu", "elu", "selu", "silu", "softplus", "relu6")


@pytest.mark.parametrize("name", SMOOTH)
def test_with_others_it_does(claim, x, name):
    """With tanh, sigmoid, GELU, ELU, SELU, SiLU, softplus and ReLU6 it changes: of units that no mask drops, at rate
    0.5, a share of {tanh:.2f} differ with tanh and {relu6:.2f} with ReLU6, which differs where it is cut off."""
    x = 3 * x[:100_000] if name == "relu6" else x[:100_000]
    front, behind = both_orders(layers.Activation(name), x, 0.5)
    kept = numpy(layers.Dropout(0.5, seed=0)(np.ones_like(x), training=True)) > 0
    differ = np.abs(front - behind)[kept] > 1e-5
    if name == "relu6":  # 2·min(x, 6) is not min(2x, 6) where x > 3
        claim.sampled(name, differ.mean(), (x[kept] > 3).mean(), 0.001, differ.size)
    else:
        claim.exact(f"{name}_differs", bool(differ.mean() > 0.4), True)
        claim.close(name, differ.mean(), 1, 0.6)
