"""What does the Transformer in that summary do?"""

import keras
import numpy as np
import pytest
from fair_comparison import evaluate
from keras import layers
from timeseries_transformer import block, transformer
from timeseries_transformer_twin import added, twin

numpy = keras.ops.convert_to_numpy
LENGTH = 24


def normal(seed, *shape, mean=0.0, deviation=1.0):
    return np.random.default_rng(seed).normal(mean, deviation, shape).astype("float32")


def rows(model):
    """Kind, shape and parameters of each row of a summary."""
    return [(type(row).__name__, list(row.output.shape[1:]), row.count_params()) for row in model.layers[1:]]


def moved(model, x, y, steps=8):
    """How far each weight ever gets from its start in `steps` steps of Adam."""
    start = [numpy(w).copy() for w in model.trainable_weights]
    farthest = [np.zeros_like(w) for w in start]
    model.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)  # tracing takes longer
    for i in range(steps):
        model.train_on_batch(x[8 * i : 8 * i + 8], y[8 * i : 8 * i + 8])
        now = [np.abs(numpy(w) - w0) for w, w0 in zip(model.trainable_weights, start, strict=True)]
        farthest = [np.maximum(a, b) for a, b in zip(farthest, now, strict=True)]
    return {w.path: distance for w, distance in zip(model.trainable_weights, farthest, strict=True)}


def spikes(n, seed):
    """Series of noise with two spikes at random places, normalised, and whether both point the same way."""
    rng = np.random.default_rng(seed)
    series, way = rng.normal(0, 0.3, (n, LENGTH)), rng.choice([-1, 1], (n, 2))
    places = np.array([rng.choice(LENGTH, 2, replace=False) for _ in range(n)])
    series[np.arange(n)[:, None], places] += 3 * way
    series = (series - series.mean(1, keepdims=True)) / series.std(1, keepdims=True)
    return series[..., None].astype("float32"), (way[:, 0] == way[:, 1]).astype(int)


def side_by_side(build, replicas):
    """One network for each replica, in one model: `(batch, replicas, length, 1)` to `(batch, replicas, 2)`."""
    series = keras.Input((replicas, LENGTH, 1))
    logits = []
    for i in range(replicas):
        network = build()
        network.layers[-1].activation = keras.activations.linear  # logits, as `evaluate` wants them
        logits.append(network(series[:, i]))
    return [keras.Model(series, keras.ops.stack(logits, axis=1))]


def mlp():
    return keras.Sequential(
        [
            keras.Input((LENGTH, 1)),
            layers.Flatten(),
            layers.Dense(128, "relu"),
            layers.Dropout(0.4),
            layers.Dense(2, "softmax"),
        ]
    )


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return transformer()


@pytest.fixture(scope="module")
def training():
    """Two hundred series of length 50, labelled by which half has the higher mean."""
    x = normal(0, 200, 50, 1)
    return x, (x[:, :25].mean((1, 2)) > x[:, 25:].mean((1, 2))).astype(int)


@pytest.fixture(scope="module")
def trained(training):
    """The model after eight steps, and how far each weight got."""
    keras.utils.set_random_seed(0)
    model = transformer(length=50)
    return model, moved(model, *training)


@pytest.fixture(scope="module")
def accuracy(study):
    """Test accuracy of the original, the repaired model and the MLP on the spikes, replica by replica."""
    replicas = 2 if study.short else 5
    train, test = ([spikes(1000, first + i) for i in range(replicas)] for first in (0, 100))
    arrays = [np.stack(a, axis=1) for part in (train, test) for a in zip(*part, strict=True)]
    size = {"length": LENGTH, "size": 16, "blocks": 1}
    arms = {"mlp": mlp, "original": lambda: transformer(**size), "repaired": lambda: transformer(features=16, **size)}
    return {name: evaluate(lambda b=b: side_by_side(b, replicas), arrays, epochs=10)[0] for name, b in arms.items()}


def test_the_rows_of_the_summary(claim, model):
    """The rebuilt model has the rows of the thread's summary: four blocks with normalisations of 2, attention of
    {attention:,}, convolutions of 8 and 5, then Dense layers of {dense:,} and 258: {parameters:,} parameters in all."""
    shape = [500, 1]
    one = [
        ("LayerNormalization", shape, 2),
        ("MultiHeadAttention", shape, 7169),
        ("Dropout", shape, 0),
        ("Add", shape, 0),
        ("LayerNormalization", shape, 2),
        ("Conv1D", [500, 4], 8),
        ("Dropout", [500, 4], 0),
        ("Conv1D", shape, 5),
        ("Add", shape, 0),
    ]
    head = [
        ("GlobalAveragePooling1D", [500], 0),
        ("Dense", [128], 64_128),
        ("Dropout", [128], 0),
        ("Dense", [2], 258),
    ]
    claim.exact("rows_agree", rows(model) == 4 * one + head, True)
    claim.exact("attention", rows(model)[1][2], 7169)
    claim.exact("dense", rows(model)[-3][2], 64_128)
    claim.exact("parameters", model.count_params(), 93_130)
    claim.exact("trainable", sum(int(np.prod(w.shape)) for w in model.trainable_weights), 93_130)


def test_the_summary_fixes_only_heads_times_key_size(claim):
    """Attention on one feature has 7·heads·size + 1 parameters, so 7,169 fixes their product at {product:,} and not the
    two: 1 × 1,024, 4 × 256 and 16 × 64 print the same row."""
    counts = {}
    for heads, size in ((1, 1024), (4, 256), (16, 64), (4, 255), (4, 257)):
        attention = layers.MultiHeadAttention(heads, size)
        attention.build((None, 500, 1), (None, 500, 1))
        counts[heads, size] = attention.count_params()
    claim.exact("splits", [counts[1, 1024], counts[4, 256], counts[16, 64]], [7169] * 3)
    claim.exact("neighbours", [counts[4, 255], counts[4, 257]], [7 * 1020 + 1, 7 * 1028 + 1])
    claim.exact("product", (7169 - 1) // 7, 1024)


def test_thirteen_dropouts_nine_listed(claim, model, monkeypatch):
    """In one training call {drops} dropouts act: {listed} that the summary lists, eight at 0.25 and one at 0.4, and
    {inside} inside attention at 0.25, on weights of shape (4, 500, 500), that it does not list."""
    calls, call = [], layers.Dropout.call

    def spy(layer, inputs, training=False):
        outputs = call(layer, inputs, training=training)
        calls.append((layer, numpy(inputs), numpy(outputs)))
        return outputs

    monkeypatch.setattr(layers.Dropout, "call", spy)
    model(normal(1, 1, 500, 1), training=True)
    listed = [layer for layer in model.layers if isinstance(layer, layers.Dropout)]
    claim.exact("drops", len(calls), 13)
    claim.exact("listed", len(listed), 9)
    hidden = [(a, b) for layer, a, b in calls if layer not in listed]
    claim.exact("inside", len(hidden), 4)
    claim.exact("shapes_inside", [a.shape[1:] for a, _ in hidden], [[4, 500, 500]] * 4)
    claim.exact("rates", [layer.rate for layer in listed], [0.25] * 8 + [0.4])
    claim.share("share_inside", np.concatenate([b == 0 for _, b in hidden]), 0.25)


@pytest.mark.parametrize("mean", [0, 3])
def test_normalising_one_feature_returns_beta(claim, mean):
    """LayerNormalization over one feature puts out its beta whatever comes in: with a beta of 0.7, a thousand random
    numbers become {lowest_0:.3f} to {highest_0:.3f}. Over two features they stay apart."""
    beta = keras.initializers.Constant(0.7)
    make = layers.LayerNormalization
    x = normal(1, 500, 2, mean=mean)
    one = numpy(make(epsilon=1e-6, beta_initializer=beta)(x.reshape(-1, 1)))
    two = numpy(make(epsilon=1e-6, beta_initializer=beta)(x))
    # float32 rounds x / sqrt(1e-6), a number in the thousands
    claim.close(f"lowest_{mean}", one.min(), 0.7, 2e-3)
    claim.close(f"highest_{mean}", one.max(), 0.7, 2e-3)
    claim.exact(f"two_features_vary_{mean}", bool(two.std() > 0.9), True)


def test_attention_sees_a_constant(claim, trained, training):
    """So attention sees one number: in the trained model its input varies by at most {into:.4f} over all series and
    times, while the series vary by a standard deviation of 1."""
    model, _ = trained
    normalised = [row.output for row in model.layers if isinstance(row, layers.LayerNormalization)][::2]
    seen = keras.Model(model.inputs[0], normalised)(training[0])
    claim.close("into", max(np.ptp(numpy(x)) for x in seen), 0, 5e-3)


def test_every_block_adds_a_constant(claim):
    """Every block adds a constant: with all weights random, two unrelated sets of series come out of a block shifted
    by the same number, to within {shift:.5f}, and the shift varies over series and times by at most {varies:.5f}."""
    keras.utils.set_random_seed(0)
    series = keras.Input((100, 1))
    one = keras.Model(series, block(series, 4, 256, 0.25))
    one.set_weights([w + normal(i, *w.shape, deviation=0.1) for i, w in enumerate(one.get_weights())])
    first, second = normal(1, 20, 100, 1), normal(2, 20, 100, 1, mean=2, deviation=3)
    shifts = [numpy(one(x)) - x for x in (first, second)]
    claim.close("shift", shifts[0].mean() - shifts[1].mean(), 0, 1e-3)
    claim.exact("shift_is_none", bool(abs(shifts[0].mean()) < 0.01), False)
    claim.close("varies", np.ptp(np.concatenate(shifts)), 0, 2e-3)


@pytest.mark.differs("parameters_that_rest", "gammas_that_rest", see="test_on_pytorch_rounding_moves_four_gammas")
def test_16444_parameters_never_move(claim, trained):
    """In training {parameters_that_rest:,} of the blocks' {blocks:,} parameters never move: all queries and keys,
    {gammas_that_rest} gammas, and the {dead} behind a ReLU that starts at exactly zero. Every other weight of the model
    moves."""
    model, distances = trained
    rounding = 4 if keras.backend.backend() == "torch" else 0  # gammas that it moves
    still = {path: d for path, d in distances.items() if d.max() < 1e-6}
    claim.exact("parameters_that_rest", sum(d.size for d in still.values()), 16_444 - rounding)
    claim.exact("blocks", sum(row.count_params() for row in model.layers[1:37]), 28_744)
    attention = [d for path, d in still.items() if "/query/" in path or "/key/" in path]
    gammas = [d for path, d in still.items() if path.endswith("gamma")]
    claim.exact("queries_and_keys", sum(d.size for d in attention), 4 * 4096)
    claim.exact("gammas_that_rest", sum(d.size for d in gammas), 8 - rounding)
    rest = sum(d.size for d in still.values()) - 4 * 4096 - len(gammas)
    claim.exact("dead", rest, 52)
    others = [d.max() for path, d in distances.items() if path not in still and not path.endswith("gamma")]
    claim.exact("the_others_move", bool(min(others) > 1e-4), True)


@pytest.mark.only("torch", why="its layer normalisation rounds in the backward pass")
def test_on_pytorch_rounding_moves_four_gammas(claim, trained):
    """On PyTorch the gradient of a gamma over one feature is not exactly zero but a rounding error, {gradient:.0e} where
    that of beta is {beta:.0f}. Adam divides a gradient by its own size, so the four gammas in front of an attention
    move all the same, by up to {gamma:.0e} in eight steps."""
    import torch

    x, upstream = (torch.tensor(normal(seed, 8, 50, 1)) for seed in (0, 1))
    gamma, beta = torch.ones(1, requires_grad=True), torch.zeros(1, requires_grad=True)
    (torch.nn.functional.layer_norm(x, (1,), gamma, beta, 1e-6) * upstream).sum().backward()
    claim.close("gradient", gamma.grad.abs().item(), 0, 0.01)
    claim.exact("gradient_is_zero", gamma.grad.item() == 0, False)
    claim.close("beta", beta.grad.abs().item(), upstream.sum().abs().item(), 1e-3)
    distances = [d.max() for path, d in trained[1].items() if path.endswith("gamma")]
    claim.close("gamma", max(distances), 0, 1e-3)


def test_at_inference_it_is_an_mlp(claim, trained):
    """At inference the trained model is an MLP on the raw series: with the blocks' constant added to one bias, the MLP
    gives the same probabilities for 500 new series, to within 0.0001."""
    model, _ = trained
    series = normal(3, 500, 50, 1)
    ours, theirs = numpy(model(series)), numpy(twin(model)(series))
    claim.close("difference", np.abs(ours - theirs).max(), 0, 1e-4)
    claim.exact("they_differ_between_series", bool(ours.std(axis=0).min() > 0.05), True)


def test_the_mlp_has_the_size_of_the_head(claim, model):
    """The MLP twin of the full model has {mlp:,} parameters; the other {folded:,} fold into one number."""
    claim.exact("mlp", twin(model).count_params(), 64_386)
    claim.exact("folded", model.count_params() - twin(model).count_params(), 28_744)


def test_twelve_of_the_dropouts_are_noise(claim, trained):
    """In training, the twelve dropouts of the blocks add noise that does not know the series: under the same masks,
    random series and constant ones get the same noise, to within 0.005, below a tenth of its deviation."""
    model, _ = trained
    last = [row for row in model.layers if isinstance(row, layers.Add)][-1]
    body = keras.Model(model.inputs[0], last.output)
    random, constant = normal(4, 50, 50, 1), np.full((50, 50, 1), 2, "float32")
    states = [w for w in body.non_trainable_variables if "seed" in w.path]
    noise = []
    for x in (random, constant):
        keras.utils.set_random_seed(0)  # of PyTorch, whose Dropout draws from the global generator
        for i, state in enumerate(states):
            state.assign(keras.ops.cast([i, 0], state.dtype))
        noise.append(numpy(body(x, training=True)) - x)
    claim.close("difference", np.abs(noise[0] - noise[1]).max(), 0, 5e-3)
    claim.exact("below_a_tenth", bool(np.abs(noise[0] - noise[1]).max() < noise[0].std() / 10), True)


def test_the_published_order_is_no_better(claim):
    """Normalising behind attention and behind the convolutions, as the published example does now, makes each block
    add its two betas: {shift:.2f} for betas of 0.3 and 0.4, whatever the other weights are."""
    keras.utils.set_random_seed(0)
    x = series = keras.Input((100, 1))
    beta = {"epsilon": 1e-6}
    y = layers.Dropout(0.25)(layers.MultiHeadAttention(4, 16, dropout=0.25)(x, x))
    x = x + layers.LayerNormalization(beta_initializer=keras.initializers.Constant(0.3), **beta)(y)
    y = layers.Conv1D(1, 1)(layers.Dropout(0.25)(layers.Conv1D(4, 1, activation="relu")(x)))
    x = x + layers.LayerNormalization(beta_initializer=keras.initializers.Constant(0.4), **beta)(y)
    data = normal(5, 20, 100, 1)
    shift = numpy(keras.Model(series, x)(data)) - data
    claim.close("shift", shift.mean(), 0.7, 1e-3)
    claim.close("varies", np.ptp(shift), 0, 5e-3)


def test_the_repair_makes_the_blocks_respond(claim, training):
    """With `Dense(16)` in front, what the blocks add to each of the {features} features varies over series and times,
    and in training every weight moves but the {biases:,} key biases, which cancel in any softmax."""
    keras.utils.set_random_seed(0)
    model = transformer(length=50, features=16)
    distances = moved(model, *training)
    still = {path: d for path, d in distances.items() if d.max() < 1e-5}
    claim.exact("only_key_biases", all(path.endswith("key/bias") for path in still), True)
    claim.exact("biases", sum(d.size for d in still.values()), 4 * 1024)
    claim.exact("features", int((added(model, training[0]).std(axis=(0, 1)) > 0.1).sum()), 16)


def test_pooling_over_time_leaves_only_the_mean(claim, program):
    """The wrong twin: with `channels_last` pooling the model has {pooled:,} parameters and gives noise, a wave and
    their shuffled copies, all normalised, the same answer to within 0.0001; another mean changes it."""
    twin = program("timeseries_transformer_wrong")
    claim.exact("pooled", twin["model"].count_params(), 29_258)
    answers = np.concatenate(twin["answers"][:2])
    claim.close("difference", np.ptp(answers), 0, 1e-4)
    claim.exact("mean_matters", bool(np.abs(twin["answers"][2] - twin["answers"][0]).min() > 1e-3), True)


@pytest.mark.study
def test_the_repaired_model_compares_two_spikes(claim, accuracy):
    """Whether two spikes at random places point the same way: on new series the repaired model has an accuracy, in
    percent, of {repaired.interval:.1f}; that is {over_original.interval:+.1f} points from the original and
    {over_mlp.interval:+.1f} from the MLP, over {repaired.n} paired replicas."""
    claim.trained("repaired", accuracy["repaired"], above=80)
    claim.trained("over_original", accuracy["repaired"] - accuracy["original"], above=20)
    claim.trained("over_mlp", accuracy["repaired"] - accuracy["mlp"], above=20)


@pytest.mark.study
def test_the_original_guesses_as_the_mlp_does(claim, accuracy):
    """On the same series the accuracy of the original, in percent, is {original.interval:.1f} and that of the MLP
    {mlp_right.interval:.1f}, where guessing gives 50; between the two no difference shows: {difference.interval:+.1f}
    points."""
    claim.trained("original", accuracy["original"], above=40, below=60)
    claim.trained("mlp_right", accuracy["mlp"], above=40, below=60)
    claim.trained("difference", accuracy["original"] - accuracy["mlp"], above=-8, below=8)
