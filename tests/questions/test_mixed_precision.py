"""Does Dropout drop the rate that I set in mixed precision?"""

import keras
import numpy as np
import pytest
from mixed_precision import as_array, through
from mixed_precision_wrong import mean_behind
from speed import calls, race

N = 2_000_000
BITS = {"bfloat16": 7, "float16": 10}  # of the part behind the point
TENSORFLOW = pytest.mark.only("tensorflow", why="it draws the mask in the precision of the tensor")
OTHERS = pytest.mark.only("jax", "torch", why="they draw the mask in float32")


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


def dropped(rate, dtype):
    """Which of two million values a Dropout of a precision sets to zero."""
    return as_array(through(keras.layers.Dropout(rate, dtype=dtype), N)) == 0


def rounded_up(rate, dtype):
    """The rate as draws see it that are multiples of 1/128 (bfloat16) or 1/1024 (float16)."""
    return float(np.ceil(rate * 2 ** BITS[dtype]) / 2 ** BITS[dtype])


def name(rate):
    return f"{rate:g}".replace("0.", "")


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.1, 0.3])
def test_in_float32_the_rate_is_what_is_dropped(claim, rate):
    """In float32 the rate is what is dropped: a share of {float32_01:.4f} at `0.01` and of {float32_1:.4f} at `0.1`."""
    claim.share(f"float32_{name(rate)}", dropped(rate, "float32"), rate)


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.05, 0.1, 0.2, 0.3])
@TENSORFLOW
def test_tensorflow_rounds_the_rate_up_in_bfloat16(claim, rate):
    """In bfloat16, TensorFlow rounds the rate up to a multiple of 1/128: `0.001` drops a share of {bfloat16_001:.4f},
    `0.01` one of {bfloat16_01:.4f}, `0.1` one of {bfloat16_1:.4f}."""
    claim.share(f"bfloat16_{name(rate)}", dropped(rate, "bfloat16"), rounded_up(rate, "bfloat16"))


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.05, 0.1, 0.2, 0.3])
@TENSORFLOW
def test_tensorflow_rounds_the_rate_up_in_float16(claim, rate):
    """In float16, TensorFlow rounds the rate up to a multiple of 1/1024: `0.001` drops a share of {float16_001:.4f},
    `0.01` one of {float16_01:.4f}, `0.1` one of {float16_1:.4f}."""
    claim.share(f"float16_{name(rate)}", dropped(rate, "float16"), rounded_up(rate, "float16"))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("rate", [0.001, 0.01, 0.1])
@OTHERS
def test_jax_and_pytorch_keep_the_rate(claim, rate, dtype):
    """JAX and PyTorch keep the rate in low precision: `0.01` drops a share of {bfloat16_kept_01:.4f} in bfloat16 and of
    {float16_kept_01:.4f} in float16."""
    claim.share(f"{dtype}_kept_{name(rate)}", dropped(rate, dtype), rate)


@TENSORFLOW
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_there_are_only_so_many_numbers_to_draw(claim, dtype):
    """TensorFlow's random numbers between 0 and 1 take {values_bfloat16} different values in bfloat16 and
    {values_float16} in float16, and what is below the rate is dropped."""
    drawn = as_array(keras.random.uniform((N,), dtype=dtype))
    claim.exact(f"values_{dtype}", len(np.unique(drawn)), 2 ** BITS[dtype])


@pytest.mark.parametrize("rate", [0.125, 0.25, 0.5])
def test_rates_on_the_grid_are_kept(claim, rate):
    """Rates that are multiples of 1/128, such as `0.125`, `0.25` and `0.5`, drop their share in bfloat16 too:
    {on_grid_25:.4f} for `0.25`."""
    claim.share(f"on_grid_{name(rate)}", dropped(rate, "bfloat16"), rate)


@TENSORFLOW
def test_the_mean_falls_with_it(claim):
    """With the rate moves the mean: in bfloat16 `Dropout(0.01)` turns ones into a mean of {mean_bfloat16:.3f}, since what
    is kept is scaled for the rate that you set, rounded to {scale_bfloat16:.4f}."""
    y = as_array(through(keras.layers.Dropout(0.01, dtype="bfloat16"), N))
    scale = float(y.max())
    claim.exact("scale_bfloat16", scale, 1 + 1 / 128)
    keep = 1 - rounded_up(0.01, "bfloat16")
    error = scale * (keep * (1 - keep) / N) ** 0.5
    claim.sampled("mean_bfloat16", y.mean(dtype="float64"), scale * keep, error, N)


def test_a_small_rate_scales_nothing(claim):
    """In bfloat16 a rate of `0.001` scales what is kept by {scale_small:.0f}, on every backend: 1/(1 − 0.001) is rounded
    to one."""
    y = as_array(through(keras.layers.Dropout(0.001, dtype="bfloat16"), N))
    claim.exact("scale_small", float(y.max()), 1.0)


@TENSORFLOW
def test_mixed_precision_is_low_precision(claim):
    """In a `mixed_bfloat16` model a Dense keeps its weights in {weights} and computes in {computes}; a Dropout computes in
    it too, and `0.01` drops a share of {policy:.4f}."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        dense, dropout = keras.layers.Dense(4), keras.layers.Dropout(0.01)
    finally:
        keras.config.set_dtype_policy("float32")
    claim.exact("weights", dense.variable_dtype, "float32")
    claim.exact("computes", dense.compute_dtype, "bfloat16")
    claim.exact("dropout_computes", dropout.compute_dtype, "bfloat16")
    claim.share("policy", as_array(through(dropout, N)) == 0, rounded_up(0.01, "bfloat16"))


def test_one_layer_in_float32_costs_the_next_nothing(claim):
    """A Dropout with `dtype="float32"` in a `mixed_bfloat16` model drops its rate, a share of {safe:.4f} at `0.01`, and the
    layer behind it computes in {after} as before."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        y = through(keras.layers.Dropout(0.01, dtype="float32"), N)
        after = keras.layers.Dense(4)(y)
    finally:
        keras.config.set_dtype_policy("float32")
    claim.share("safe", as_array(y) == 0, 0.01)
    claim.exact("after", keras.backend.standardize_dtype(after.dtype), "bfloat16")


def dropped_in_fit(claim, compiled, precision, expected):
    x = np.ones((2000, N // 2000), "float32")

    def zeros(y_true, y_pred):
        return keras.ops.mean(keras.ops.cast(keras.ops.equal(y_pred, 0), "float32"))

    model = keras.Sequential([keras.Input((N // 2000,)), keras.layers.Dropout(0.01, dtype=f"mixed_{precision}")])
    model.compile("sgd", "mse", metrics=[zeros], jit_compile=compiled)
    share = model.fit(x, x, batch_size=2000, verbose=0).history["zeros"][0]
    error = (expected * (1 - expected) / N) ** 0.5
    claim.sampled(f"fit_{'xla' if compiled else 'plain'}_{precision}", share, expected, error, N)


@TENSORFLOW
@pytest.mark.parametrize("compiled", [False, True])
def test_compiled_by_xla_it_is_kept_in_bfloat16(claim, compiled):
    """In `fit`, `0.01` drops a share of {fit_plain_bfloat16:.4f} in bfloat16; compiled by XLA, with `jit_compile=True`, it drops
    {fit_xla_bfloat16:.4f}."""
    dropped_in_fit(claim, compiled, "bfloat16", 0.01 if compiled else rounded_up(0.01, "bfloat16"))


@TENSORFLOW
@pytest.mark.parametrize("compiled", [False, True])
def test_compiled_by_xla_it_is_rounded_in_float16(claim, compiled):
    """In `fit`, `0.01` drops a share of {fit_plain_float16:.4f} in float16, and {fit_xla_float16:.4f} when XLA compiles the step: both 11/1024."""
    dropped_in_fit(claim, compiled, "float16", rounded_up(0.01, "float16"))


@TENSORFLOW
def test_it_is_the_function_beneath(claim):
    """It is `keras.random.dropout` that rounds, and so does all that uses it: `SpatialDropout1D(0.01)` drops a share of
    {spatial:.4f} of its feature maps in bfloat16, and the function itself {function:.4f}."""
    y = as_array(keras.random.dropout(keras.ops.ones((N,), "bfloat16"), 0.01, seed=keras.random.SeedGenerator(0)))
    claim.share("function", y == 0, rounded_up(0.01, "bfloat16"))
    spatial = keras.layers.SpatialDropout1D(0.01, dtype="bfloat16")
    maps = as_array(spatial(keras.ops.ones((1000, 2, 1000), "bfloat16"), training=True))[:, 0] == 0
    claim.share("spatial", maps, rounded_up(0.01, "bfloat16"))


@pytest.mark.only("tensorflow", why="Keras 2 runs on TensorFlow alone")
def test_in_keras_2_it_is_the_same(claim):
    """In Keras 2 it is the same: `0.01` drops a share of {keras2:.4f} in bfloat16."""
    import tf_keras

    tf_keras.utils.set_random_seed(0)
    y = tf_keras.layers.Dropout(0.01, dtype="bfloat16")(keras.ops.ones((N,), "bfloat16"), training=True)
    claim.share("keras2", as_array(y) == 0, rounded_up(0.01, "bfloat16"))


@TENSORFLOW
def test_behind_twelve_the_mean_has_fallen(claim):
    """The wrong twin: behind twelve Dropouts at `0.01` the mean of ones is {twelve_float32:.3f} in float32 and
    {twelve_bfloat16:.3f} in bfloat16."""
    keep, scale = 1 - rounded_up(0.01, "bfloat16"), 1 + 1 / 128
    measured, expected = mean_behind("bfloat16"), 1.0
    for _ in range(12):  # what is kept is rounded to bfloat16 each time
        expected = float(as_array(keras.ops.cast(expected * scale, "bfloat16")))
    expected *= keep**12
    error = expected * ((keep**-12 - 1) / N) ** 0.5
    claim.sampled("twelve_bfloat16", measured, expected, error, N)
    claim.sampled("twelve_float32", mean_behind("float32"), 1, ((0.99**-12 - 1) / N) ** 0.5, N)


def kept_one():
    return float(as_array(through(keras.layers.Dropout(0.01, dtype="bfloat16"), N)).max())


@pytest.mark.only("jax", why="PyTorch rounds the scale down")
def test_jax_rounds_the_scale_up(claim):
    """On JAX a one that `Dropout(0.01)` keeps in bfloat16 becomes {jax_one:.4f}, where 1/0.99 is 1.0101."""
    claim.exact("jax_one", kept_one(), 1 + 1 / 64)


@pytest.mark.only("torch", why="JAX rounds the scale up")
def test_pytorch_rounds_the_scale_down(claim):
    """On PyTorch a one that `Dropout(0.01)` keeps in bfloat16 becomes {torch_one:.4f}, where 1/0.99 is 1.0101."""
    claim.exact("torch_one", kept_one(), 1 + 1 / 128)


def moved_by_the_scale(claim, name):
    one, scale = kept_one(), 1.0
    for _ in range(12):
        scale = float(as_array(keras.ops.cast(scale * one, "bfloat16")))
    expected = scale * 0.99**12
    claim.sampled(name, mean_behind("bfloat16"), expected, expected * ((0.99**-12 - 1) / N) ** 0.5, N)
    claim.sampled(f"{name}_float32", mean_behind("float32"), 1, ((0.99**-12 - 1) / N) ** 0.5, N)
    return expected


@pytest.mark.only("jax", why="PyTorch rounds the scale down")
def test_on_jax_the_mean_behind_twelve_rises(claim):
    """The wrong twin: on JAX the mean of ones behind twelve Dropouts at `0.01` in bfloat16 is {twelve_jax:.3f}, although the
    rate is kept: the scale is rounded up twelve times."""
    claim.exact("above_one", moved_by_the_scale(claim, "twelve_jax") > 1.02, True)


@pytest.mark.only("torch", why="JAX rounds the scale up")
def test_on_pytorch_the_mean_behind_twelve_falls(claim):
    """The wrong twin: on PyTorch the mean of ones behind twelve Dropouts at `0.01` in bfloat16 is {twelve_torch:.3f},
    although the rate is kept: the scale is rounded down twelve times."""
    claim.exact("below_one", moved_by_the_scale(claim, "twelve_torch") < 0.98, True)


# --------------------------------------------------------------------------------- measured on a GPU only


@pytest.mark.gpu
def test_what_one_layer_in_float32_costs(claim, small):
    """On 2^27 values in bfloat16, called by itself, `Dropout(0.01)` takes {low.interval:.2f} ms, which is
    {low_share:.0%} of the speed at which a change of sign moves the same bytes, {bandwidth.interval:,.0f} GB/s. With
    `dtype="float32"`, and its output cast back to bfloat16, it takes {high_ratio.interval:.2f} times as long."""
    inputs = keras.ops.ones((2**7, 2**5) if small else (2**15, 2**12), "bfloat16")
    low, high = (keras.layers.Dropout(0.01, dtype=dtype) for dtype in ("bfloat16", "float32"))
    runs = (
        calls(lambda: -inputs),
        calls(lambda: low(inputs, training=True)),
        calls(lambda: keras.ops.cast(high(inputs, training=True), "bfloat16")),
    )
    sign, plain, safe = race(*runs, rounds=3 if small else 30).T / 10
    claim.timed("low", 1000 * plain, above=0)
    claim.timed("bandwidth", 2 * 2 * inputs.shape[0] * inputs.shape[1] / sign / 1e9, above=0)
    claim.timed("low_share", sign / plain, above=0, below=1.1)  # nothing is faster than the bytes
    claim.timed("high_ratio", safe / plain, above=0.9)
