"""Do large language models use dropout, in pretraining, in fine-tuning and with LoRA?"""

import inspect
import itertools

import keras
import numpy as np
import pytest
from fair_comparison import at_once, batches, dense, digits
from keras import ops
from llm import losses
from llm_lora import Lora
from llm_r_drop import RDrop, disagreement

numpy = ops.convert_to_numpy
layers = keras.layers


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="module")
def measured():
    """Test losses of an invented language at rates 0, 0.1 and 0.3, for 1, 8 and 64 passes: `(passes, rate, replica)`."""
    return losses(32_000, repeats=(1, 8, 64), rates=(0, 0.1, 0.3), seeds=range(8))


def test_in_one_pass_dropout_costs(claim, measured):
    """In one pass over 32,000 fresh symbols, dropout raises the test loss of a small language model, by
    {once_01.interval:+.3f} nats at rate 0.1 and by {once_03.interval:+.3f} at rate 0.3, over {once_01.n} paired
    replicas."""
    once = measured[0]
    claim.trained("once_01", once[1] - once[0], above=0)
    claim.trained("once_03", once[2] - once[0], above=0)


def test_in_eight_passes_it_still_costs(claim, measured):
    """In as many steps, eight passes over 4,000 symbols, it still costs: {few_01.interval:+.3f} nats at rate 0.1 and
    {few_03.interval:+.3f} at rate 0.3."""
    few = measured[1]
    claim.trained("few_01", few[1] - few[0], above=0)
    claim.trained("few_03", few[2] - few[0], above=0)


def test_on_much_repeated_text_dropout_helps(claim, measured):
    """In 64 passes over 500 symbols it lowers the test loss, by {often_01.interval:+.3f} nats at rate 0.1 and by
    {often_03.interval:+.3f} at rate 0.3."""
    often = measured[2]
    claim.trained("often_01", often[1] - often[0], below=0)
    claim.trained("often_03", often[2] - often[0], below=0)


def test_fresh_text_is_worth_more(claim, measured):
    """Repeating costs more than dropout brings back: the best of the three rates in 64 passes is still
    {price.interval:+.2f} nats above one pass without dropout."""
    claim.trained("price", measured[2].min(axis=0) - measured[0, 0], above=0)


def test_lora_dropout_reaches_the_branch_alone(claim):
    """LoRA's dropout drops the input of the branch, a share of {branch:.3f} at rate 0.1, and leaves the frozen layer's
    path as it is."""
    n = 200
    layer = Lora(layers.Dense(n), rank=n, alpha=n, rate=0.1)
    x = np.ones((500, n), "float32")
    base = numpy(layer.base(x))
    layer(x)
    layer.down.set_weights([np.eye(n)])
    layer.up.set_weights([np.eye(n)])  # now the branch puts out what enters it
    branch = numpy(layer(x, training=True)) - base
    claim.share("branch", branch < 0.5, 0.1)
    claim.close("kept", branch.max(), 1 / 0.9, 1e-4)
    claim.close("dropped", branch.min(), 0, 1e-4)
    claim.close("inference", (numpy(layer(x)) - base).mean(), 1, 1e-4)


def test_before_the_first_step_it_cannot_be_seen(claim):
    """Since the branch starts at zero, two training passes agree before the first step, with dropout on; after one step
    they differ."""
    layer = Lora(layers.Dense(8), rate=0.1)
    model = keras.Sequential([keras.Input((32,)), layer])
    model.compile("adam", "mse")
    x = np.random.default_rng(0).normal(size=(64, 32)).astype("float32")

    def agree():
        return np.array_equal(*(numpy(model(x, training=True)) for _ in range(2)))

    claim.exact("agree_before", agree(), True)
    claim.exact("dropping", bool(np.any(numpy(layer.drop(x, training=True)) == 0)), True)
    model.train_on_batch(x, np.ones((64, 8), "float32"))
    claim.exact("agree_after", agree(), False)


def test_a_merged_adapter_has_no_dropout(claim):
    """Merged into one kernel, the adapter does at inference what it did beside the frozen layer: the largest difference
    is below one in ten thousand, and dropout plays no part."""
    layer = Lora(layers.Dense(8), rate=0.5)
    x = np.random.default_rng(0).normal(size=(64, 32)).astype("float32")
    layer(x)
    layer.up.set_weights([np.random.default_rng(1).normal(size=(4, 8))])
    merged = x @ numpy(layer.merged()) + numpy(layer.base.bias)
    claim.close("merged", np.abs(merged - numpy(layer(x))).max(), 0, 1e-4)


def test_the_frozen_base_keeps_its_dropout(claim):
    """A Dropout of the frozen base stays on beside LoRA: in training it drops a share of {base_share:.3f}."""
    dense_ = layers.Dense(200, kernel_initializer="identity")
    base = keras.Sequential([keras.Input((200,)), Lora(dense_, rate=0.05), layers.Dropout(0.1)])
    for layer in base.layers:
        if not isinstance(layer, Lora):
            layer.trainable = False
    claim.share("base_share", numpy(base(np.ones((500, 200), "float32"), training=True)) == 0, 0.1)
    claim.exact("trained_tensors", len(base.trainable_weights), 2)


def test_keras_own_lora_has_no_dropout(claim):
    """`Dense.enable_lora` of Keras takes {arguments}: no dropout."""
    found = list(inspect.signature(layers.Dense.enable_lora).parameters)[1:]
    claim.exact("arguments", found, ["rank", "lora_alpha", "a_initializer", "b_initializer"])


def test_dropout_in_front_disturbs_the_frozen_layer(claim, program):
    """The wrong twin: a Dropout(0.1) in front of a Dense with LoRA changes the pretrained outputs by {in_front:.2f} of
    their size before anything is learned; inside the branch it changes them by {inside:.2f}."""
    change = program("llm_wrong")["change"]
    n = 6400  # outputs; the relative change is the root of rate/(1 − rate)
    claim.sampled("in_front", change["in front"], (0.1 / 0.9) ** 0.5, 0.01, n)
    claim.close("inside", change["in the branch"], 0, 1e-5)


def test_without_dropout_there_is_nothing_to_agree_on(claim):
    """R-Drop's penalty is {at_0:.0f} where the rate is 0, and where the passes are inference; with dropout it is above
    zero, and in an untrained network it grows with the rate, from 0 over 0.1 and 0.3 to 0.5."""
    x = np.random.default_rng(0).normal(size=(2000, 20)).astype("float32")
    hidden, last = layers.Dense(128, "relu"), layers.Dense(5)

    def gap(rate, training=True):
        model = keras.Sequential([hidden, layers.Dropout(rate, seed=0), last])
        return float(disagreement(model(x, training=training), model(x, training=training)))

    gaps = [gap(rate) for rate in (0.0, 0.1, 0.3, 0.5)]
    claim.exact("at_0", gaps[0], 0.0)
    claim.exact("at_inference", gap(0.5, training=False), 0.0)
    claim.exact("grows", all(low < high for low, high in itertools.pairwise(gaps)), True)


def test_it_is_symmetric_and_costs_a_second_pass(claim):
    """The penalty is the same in both directions, and each training step calls the network {calls} times instead of
    once; an evaluation step calls it {evaluation} time."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 50, 5)).astype("float32")
    claim.close("symmetric", float(disagreement(a, b)) - float(disagreement(b, a)), 0, 1e-6)
    p, q = (np.exp(v) / np.exp(v).sum(-1, keepdims=True) for v in (a, b))
    both = ((p * np.log(p / q)).sum(-1) + (q * np.log(q / p)).sum(-1)).mean() / 2
    claim.close("formula", float(disagreement(a, b)), both, 1e-4)

    count = []

    class Counted(layers.Dense):
        def call(self, x, training=None):
            count.append(training)
            return super().call(x)

    model = RDrop(keras.Sequential([layers.Dropout(0.5), Counted(5)]))
    model.compile(
        "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True, jit_compile=False
    )
    labels = np.arange(50) % 5
    model.train_on_batch(a, labels)  # the first step also builds
    count.clear()
    model.train_on_batch(a, labels)
    claim.exact("calls", len(count), 2)
    count.clear()
    model.test_on_batch(a, labels)
    claim.exact("evaluation", len(count), 1)


def test_r_drop_makes_the_passes_agree(claim):
    """On 500 digits with 30 % random labels at rate 0.5, two training passes of a network trained with dropout alone have
    a divergence of {alone.interval:.2f} on the training data; R-Drop with a weight of 3 changes it by
    {less.interval:+.2f} and accuracy by {accuracy.interval:+.1f} percentage points, over {less.n} paired replicas."""
    replicas = 16
    x, y, x_test, y_test = digits(500, replicas, noise=0.3)

    def train(alpha):
        keras.utils.set_random_seed(0)
        drop = layers.Dropout
        parts = [dense(replicas, 128, "relu"), drop(0.5), dense(replicas, 64, "relu"), drop(0.5), dense(replicas, 10)]
        network = keras.Sequential([keras.Input(x.shape[1:]), *parts])
        model = RDrop(network, float(alpha))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("adam", loss, steps_per_execution=at_once(16))
        model.fit(batches(x, y, 16, 0), steps_per_epoch=16, epochs=40, verbose=0)
        p, q = (numpy(ops.log_softmax(network(x, training=True))) for _ in range(2))
        gaps = ((np.exp(p) - np.exp(q)) * (p - q)).sum(-1).mean(0) / 2
        return gaps, 100 * (numpy(network(x_test)).argmax(-1) == y_test).mean(0)

    (alone, without), (together, with_) = train(0), train(3)
    claim.trained("alone", alone, above=0)
    claim.trained("less", together - alone, below=0)
    claim.trained("accuracy", with_ - without, below=0)
