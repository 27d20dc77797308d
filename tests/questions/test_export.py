"""Must I remove Dropout before I export a model to TFLite or ONNX, and can it stay on there?"""

import keras
import numpy as np
import pytest
from export import draw, network, with_masks
from keras import layers

numpy = keras.ops.convert_to_numpy
tensorflow = pytest.mark.only("tensorflow", why="these files are written from a TensorFlow graph")
pytorch = pytest.mark.only("torch", why="this file is written from a PyTorch graph")
any_batch = pytest.mark.holds("keras>=3.14", why="before, an ONNX file from PyTorch took a batch of one only")
with_onnx = pytest.mark.only("tensorflow", "torch", why="on JAX the export needs another package, jax2onnx")


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(6, 8)).astype("float32")


class AlwaysOn(layers.Dropout):
    def call(self, inputs, training=None):
        return super().call(inputs, training=True)


def masking(dropout):
    """A model whose output is the mask, times the scale: its Dense puts out ones."""
    inputs = keras.Input((8,), name="features")
    ones = layers.Dense(64, kernel_initializer="zeros", bias_initializer="ones")
    model = keras.Model(inputs, dropout(ones(inputs)))
    model(np.zeros((1, 8), "float32"))
    return model


def written(dropout=None):
    return masking(lambda x: (dropout or layers.Dropout(0.5))(x, training=True))


def onnx_file(model, folder):
    path = folder / "model.onnx"
    model.export(path, format="onnx", verbose=False)
    return path


def onnx_nodes(path):
    import onnx

    return [node.op_type for node in onnx.load(path).graph.node]


def onnx_start(path):
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

    session = onnxruntime.InferenceSession(path)

    def run(**given):
        try:
            return session.run(None, given)[0]
        except (InvalidArgument, ValueError) as error:
            pytest.fail(f"the file takes no such input: {error}")

    return run


def lite_file(model, folder):
    path = folder / "model.tflite"
    model.export(str(path), format="litert", verbose=False)  # before Keras 3.15 it takes no other path
    return path


def lite_nodes(path):
    import tensorflow as tf

    return [node["op_name"] for node in tf.lite.Interpreter(str(path))._get_ops_details()]


def saved_folder(model, folder):
    model.export(folder / "saved", format="tf_saved_model", verbose=False)
    return folder / "saved"


def start(path):
    """A file, loaded by its runtime, as a function of its inputs, by name."""
    from export_tensorflow import start

    run = start(path)
    return lambda **given: np.asarray(run(**given))


FILES = {"onnx": onnx_file, "litert": lite_file, "tf_saved_model": saved_folder}


def test_the_keras_file_keeps_the_layer(claim, tmp_path):
    """A `.keras` file keeps the layer and its rate: the loaded model predicts the same, and drops a share of {share:.2f}
    when it is trained on."""
    model = masking(layers.Dropout(0.3))
    model.save(tmp_path / "model.keras")
    loaded, x = keras.saving.load_model(tmp_path / "model.keras"), np.ones((500, 8), "float32")
    claim.exact("rates", [a.rate for a in loaded.layers if isinstance(a, layers.Dropout)], [0.3])
    difference = np.abs(loaded.predict(x, verbose=0) - model.predict(x, verbose=0)).max()
    claim.exact("difference", float(difference), 0.0)
    claim.share("share", numpy(loaded(x, training=True)) == 0, 0.3)


def test_leaving_it_out_changes_no_prediction(claim, x):
    """A model made of the same layers without the Dropout has the same weights and predicts the same. So leaving it out is
    safe, and not needed."""
    model = network()
    without = keras.Sequential([keras.Input((8,)), *(a for a in model.layers if not isinstance(a, layers.Dropout))])
    claim.exact("weights", [len(without.get_weights()), without.count_params()], [4, model.count_params()])
    claim.close("difference", np.abs(without.predict(x, verbose=0) - model.predict(x, verbose=0)).max(), 0, 1e-6)


KINDS = {
    "dropout": (lambda rate: layers.Dropout(rate), (8,)),
    "noise": (lambda rate: layers.GaussianNoise(rate), (8,)),
    "spatial": (lambda rate: layers.SpatialDropout1D(rate), (10, 8)),
    "attention": (lambda rate: _attention(layers.MultiHeadAttention(2, 4, dropout=rate)), (10, 8)),
    "lstm": (lambda rate: layers.LSTM(8, dropout=rate), (10, 8)),
}


def _attention(layer):
    return lambda x: layer(x, x)


def ending_in(layer, shape):
    inputs = keras.Input(shape, name="features")
    model = keras.Model(inputs, layers.Dense(3)(layer(inputs)))
    model(np.zeros((1, *shape), "float32"))
    return model


@tensorflow
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_random_is_in_the_files(claim, kind, tmp_path):
    """Neither an ONNX nor a LiteRT file holds a random operation, be it for Dropout, SpatialDropout1D, GaussianNoise or
    the dropout within attention and within an LSTM; and the ONNX file computes what `predict` does."""
    build, shape = KINDS[kind]
    model = ending_in(build(0.5), shape)
    path = onnx_file(model, tmp_path)
    operations = onnx_nodes(path) + lite_nodes(lite_file(model, tmp_path))
    claim.exact(f"random_{kind}", [name for name in operations if "RANDOM" in name.upper()], [])
    x = np.random.default_rng(0).normal(size=(4, *shape)).astype("float32")
    difference = np.abs(onnx_start(path)(features=x) - model.predict(x, verbose=0)).max()
    claim.close(f"difference_{kind}", difference, 0, 1e-5)


@tensorflow
def test_an_lstm_needs_tensorflows_ops_with_and_without_dropout(claim, tmp_path):
    """An LSTM in a LiteRT file needs TensorFlow's own operations whether it has dropout or not, {dropout} and {plain} of
    them, for its loop; with `unroll=True` it needs {unrolled}."""
    made = {"dropout": {"dropout": 0.5}, "plain": {}, "unrolled": {"unroll": True}}
    for name, options in made.items():
        path = lite_file(ending_in(layers.LSTM(8, **options), (5, 8)), tmp_path)
        claim.exact(name, sum(n.startswith("Flex") for n in lite_nodes(path)), 0 if name == "unrolled" else 2)


@tensorflow
def test_the_files_are_two_matrix_products(claim, x, tmp_path):
    """Of Dense, ReLU, Dropout and Dense, ONNX keeps {onnx}, and LiteRT {litert}; all three files predict what Keras
    predicts, the same at every run."""
    model = network()
    model(x)
    paths = {name: write(model, tmp_path) for name, write in FILES.items()}
    claim.exact("onnx", ", ".join(onnx_nodes(paths["onnx"])), "MatMul, Relu, MatMul")
    claim.exact("litert", ", ".join(lite_nodes(paths["litert"])), "FULLY_CONNECTED, FULLY_CONNECTED")
    for name, path in paths.items():
        run = start(path)
        first = run(features=x)
        claim.close(f"difference_{name}", np.abs(first - model.predict(x, verbose=0)).max(), 0, 1e-6)
        claim.exact(f"same_{name}", bool(np.array_equal(first, run(features=x))), True)


@pytorch
@any_batch
def test_on_pytorch_nothing_of_it_is_in_the_file(claim, x, tmp_path):
    """With PyTorch as the backend the ONNX file of an ordinary Dropout holds {dropouts} Dropout operations, and predicts
    what Keras predicts."""
    model = network()
    model(x)
    path = onnx_file(model, tmp_path)
    claim.exact("dropouts", onnx_nodes(path).count("Dropout"), 0)
    claim.close("difference", np.abs(onnx_start(path)(features=x) - model.predict(x, verbose=0)).max(), 0, 1e-5)


@tensorflow
def test_an_always_on_dropout_makes_files_that_do_not_load(claim, tmp_path):
    """A Dropout that is always on makes an ONNX and a LiteRT file, without an error, that do not load: they hold
    {onnx} and {litert}, which neither runtime has."""
    import tensorflow as tf

    model = masking(AlwaysOn(0.5))
    path = onnx_file(model, tmp_path)
    claim.exact("onnx", ", ".join(n for n in onnx_nodes(path) if "Random" in n), "StatelessRandomUniformV2")
    with pytest.raises(Exception, match="INVALID_GRAPH"):
        onnx_start(path)
    path = lite_file(model, tmp_path)
    found = [name for name in lite_nodes(path) if "RandomUniform" in name]
    claim.exact("litert", ", ".join(found), "FlexStatelessRandomUniformV2")
    with pytest.raises(RuntimeError, match="Select TensorFlow op"):
        tf.lite.Interpreter(str(path)).allocate_tensors()


@tensorflow
def test_the_converter_itself_refuses_an_always_on_dropout(claim, tmp_path):
    """TensorFlow's own converter refuses it unless it is told to allow TensorFlow's operations, as Keras' export does:
    {error}."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_folder(masking(AlwaysOn(0.5)), tmp_path)))
    with pytest.raises(Exception, match="StatelessRandom") as caught:
        converter.convert()
    claim.exact("error", type(caught.value).__name__, "ConverterError")


@tensorflow
def test_a_saved_model_draws_and_repeats_itself(claim, tmp_path):
    """A SavedModel of an always-on Dropout draws a new mask at each call, a share of {share:.2f}, and after each load it
    repeats the same masks: its seed is saved with it."""
    path = saved_folder(masking(AlwaysOn(0.5)), tmp_path)
    x = np.zeros((100, 8), "float32")
    runs = [[run(features=x) for _ in range(2)] for run in (start(path), start(path))]
    claim.share("share", runs[0][0] == 0, 0.5)
    claim.share("calls_agree", runs[0][0] == runs[0][1], 0.5)
    claim.exact("loads_agree", all(np.array_equal(a, b) for a, b in zip(*runs, strict=True)), True)


@tensorflow
def test_training_true_in_the_graph_reaches_a_saved_model_and_onnx(claim, tmp_path):
    """`Dropout(0.5)(x, training=True)` in a functional model is on in a SavedModel, where it drops {share:.2f}, and makes an
    ONNX file with an operation that onnxruntime does not load."""
    model, x = written(), np.zeros((100, 8), "float32")
    run = start(saved_folder(model, tmp_path))
    claim.share("share", run(features=x) == 0, 0.5)
    path = onnx_file(model, tmp_path)
    claim.exact("onnx", onnx_nodes(path).count("StatelessRandomUniformV2"), 1)
    with pytest.raises(Exception, match="INVALID_GRAPH"):
        onnx_start(path)


@tensorflow
@pytest.mark.holds(
    "keras>=3.13,<3.16",
    why="3.13 brought the export to LiteRT, which passes training=False, and 3.16 will not hand it down",
    raises=ValueError,
)
def test_training_true_in_the_graph_vanishes_from_litert(claim, tmp_path):
    """The same model exported to LiteRT has no dropout, and no word is said: {operations} is all that it holds, and every
    run gives the same."""
    path = lite_file(written(), tmp_path)
    claim.exact("operations", ", ".join(lite_nodes(path)), "FULLY_CONNECTED")
    claim.exact("zeros", int(np.sum(start(path)(features=np.zeros((100, 8), "float32")) == 0)), 0)


@tensorflow
@pytest.mark.parametrize("file", FILES)
def test_an_op_that_every_format_has(claim, file, tmp_path):
    """A Dropout that draws with `tf.random.uniform` stays on in ONNX, LiteRT and SavedModel: it drops {onnx:.2f},
    {litert:.2f} and {tf_saved_model:.2f} at rate `0.5`, other values at each run."""
    from export_tensorflow import TFRandom

    run, x = start(FILES[file](masking(TFRandom(0.5)), tmp_path)), np.zeros((100, 8), "float32")
    first, second = run(features=x), run(features=x)
    claim.share(file, first == 0, 0.5)
    claim.share(f"runs_agree_{file}", (first == 0) == (second == 0), 0.5)


@tensorflow
def test_with_a_global_seed_each_start_repeats_the_last(claim, tmp_path):
    """After `set_random_seed` that seed is written into the files, and each start of a runtime draws the same masks as the
    last; without it, LiteRT and SavedModel start anew each time, and onnxruntime repeats all the same."""
    import tensorflow as tf
    from export_tensorflow import TFRandom

    x = np.zeros((100, 8), "float32")
    for name, seed in {"seeded": 0, "unseeded": None}.items():
        tf.random.set_seed(seed)
        model = masking(TFRandom(0.5))
        again = {}
        for file, write in FILES.items():
            path = write(model, tmp_path)
            again[file] = bool(np.array_equal(start(path)(features=x), start(path)(features=x)))
        claim.exact(name, again, {"onnx": True, "litert": seed == 0, "tf_saved_model": seed == 0})


@pytorch
@any_batch
def test_on_pytorch_an_always_on_dropout_works_in_onnx(claim, tmp_path):
    """With PyTorch as the backend an always-on Dropout becomes the ONNX operation `Dropout`, set to training, with a
    warning that says so: onnxruntime drops {share:.2f}, other values at each run and after each start."""
    with pytest.warns(UserWarning, match="operator 'dropout' is set to train=True"):
        path, x = onnx_file(masking(AlwaysOn(0.5)), tmp_path), np.zeros((100, 8), "float32")
    claim.exact("dropouts", onnx_nodes(path).count("Dropout"), 1)
    run = onnx_start(path)
    first, second, other = run(features=x), run(features=x), onnx_start(path)(features=x)
    claim.share("share", first == 0, 0.5)
    claim.share("runs_agree", (first == 0) == (second == 0), 0.5)
    claim.share("starts_agree", (first == 0) == (other == 0), 0.5)


@pytorch
@any_batch
def test_onnxruntime_has_a_seed(claim, tmp_path):
    """`onnxruntime.set_seed`, called before the start, makes it repeat its masks."""
    import onnxruntime

    path, x = onnx_file(masking(AlwaysOn(0.5)), tmp_path), np.zeros((100, 8), "float32")
    runs = []
    for _ in range(2):
        onnxruntime.set_seed(1)
        runs.append(onnx_start(path)(features=x))
    claim.exact("equal", bool(np.array_equal(*runs)), True)


@pytorch
@any_batch
def test_on_pytorch_a_layer_with_a_seed_cannot_be_exported(claim, tmp_path):
    """Given a `seed`, an always-on Dropout cannot be exported from PyTorch: {error}."""
    with pytest.raises(Exception, match="Generator") as caught:
        onnx_file(masking(AlwaysOn(0.5, seed=1)), tmp_path)
    claim.exact("error", type(caught.value).__name__, "SymbolicValueError")


@with_onnx
def test_onnx_wants_a_model_that_was_called(claim, tmp_path):
    """The export to ONNX wants a model that has been called once: “{error}”."""
    with pytest.raises(ValueError, match="never called") as caught:
        onnx_file(network(), tmp_path)
    claim.exact("error", str(caught.value).split(".")[0].strip(), "The model provided has never called")


@tensorflow
def test_litert_wants_its_suffix(claim, tmp_path):
    """The path of a LiteRT file has to end in `.tflite`."""
    with pytest.raises(ValueError, match="tflite"):
        network().export(str(tmp_path / "model.lite"), format="litert", verbose=False)
    claim.exact("refused", True, True)


def test_masks_of_ones_give_the_ordinary_prediction(claim, x):
    """Given masks of ones, the model with masks as inputs predicts what the model that it was made from predicts, with the
    same {parameters} parameters; trained on, both change together."""
    model = network()
    masked = with_masks(model)

    def difference():
        given = numpy(masked([x, np.ones((6, 64), "float32")]))
        return np.abs(given - model.predict(x, verbose=0)).max()

    claim.close("difference", difference(), 0, 1e-6)
    before = model.predict(x, verbose=0)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.train_on_batch(x, np.ones((6, 1), "float32"))
    claim.exact("trained", bool(np.abs(model.predict(x, verbose=0) - before).max() > 1e-3), True)
    claim.close("difference_trained", difference(), 0, 1e-6)
    claim.exact("parameters", masked.count_params(), model.count_params())


def test_drawn_masks_are_dropout(claim, x):
    """With masks of zeros and 1/(1 − rate) it is dropout: over {mean.n:,} masks the mean of the outputs is the ordinary
    prediction, and their variance the {variance:.3f} that arithmetic gives for this layer, {variance.expected:.3f}."""
    model, n = network(0.2), 20_000
    hidden = numpy(keras.Model(model.inputs, model.layers[0].output)(x[:1]))[0].astype("float64")
    expected = 0.25 * np.sum((hidden * numpy(model.layers[-1].kernel)[:, 0]) ** 2)
    many = np.repeat(x[:1], n, axis=0)
    masks = draw(n, (64,), 0.2, np.random.default_rng(1))
    out = numpy(with_masks(model)([many, masks]))[:, 0].astype("float64")
    claim.sampled("mean", out.mean(), model.predict(x[:1], verbose=0)[0, 0], (expected / n) ** 0.5, n)
    claim.sampled("variance", out.var(), expected, ((out - out.mean()) ** 2).std() / n**0.5, n)


def test_one_example_serves_many_masks(claim, x):
    """One example and many masks are enough: what lies in front of the mask is computed once, and the outputs are those of
    as many copies of the example."""
    model, masks = with_masks(network()), draw(50, (64,), 0.5, np.random.default_rng(0))
    one, copies = (numpy(model([given, masks])) for given in (x[:1], np.repeat(x[:1], 50, axis=0)))
    claim.exact("shape", one.shape, (50, 1))
    claim.close("difference", np.abs(one - copies).max(), 0, 1e-6)


def with_masks_exported(claim, write, start, folder, x):
    model, masks = with_masks(network()), draw(50, (64,), 0.5, np.random.default_rng(0))
    wanted = numpy(model([x[:1], masks]))
    path = write(model, folder)
    for name, given in {"copies": np.repeat(x[:1], 50, axis=0), "one": x[:1]}.items():
        difference = np.abs(start(path)(features=given, dropout_mask=masks) - wanted).max()
        claim.close(f"difference_{name}_{path.suffix[1:] or 'saved'}", difference, 0, 1e-5)


@tensorflow
@pytest.mark.parametrize("file", FILES)
def test_every_format_takes_masks_as_an_input(claim, file, x, tmp_path):
    """Exported to ONNX, LiteRT and SavedModel, the model with masks as inputs puts out what Keras puts out for the same
    masks, for one example with 50 masks and for 50 copies of it."""
    with_masks_exported(claim, FILES[file], start, tmp_path, x)


@tensorflow
def test_litert_sorts_its_inputs_by_name(claim, tmp_path):
    """LiteRT lists the inputs of this model as {litert}, sorted by name; the model itself has {keras}."""
    import tensorflow as tf

    model = with_masks(network())
    runner = tf.lite.Interpreter(str(lite_file(model, tmp_path))).get_signature_runner()
    claim.exact("litert", ", ".join(runner.get_input_details()), "dropout_mask, features")
    claim.exact("keras", ", ".join(tensor.name for tensor in model.inputs), "features, dropout_mask")


@pytorch
@any_batch
def test_from_pytorch_onnx_takes_masks_as_an_input(claim, x, tmp_path):
    """From PyTorch, too, the ONNX file takes masks as an input, and puts out what Keras does."""
    with_masks_exported(claim, onnx_file, onnx_start, tmp_path, x)


@pytorch
def test_a_pytorch_module_is_exported_as_it_stands(claim, program, capsys):
    """In plain PyTorch the file takes over each module's mode: a `nn.Dropout` is gone after `eval()`, and draws if it was
    in training mode. A call of `F.dropout` without `training=self.training` draws after `eval()` as well."""
    program("export_torch")
    printed = dict(line.rsplit(": ", 1) for line in capsys.readouterr().out.strip().splitlines())
    claim.exact("eval", printed["nn.Dropout after eval()"], "always the same")
    claim.exact("only_dropouts", printed["nn.Dropout, only the dropouts on"], "new masks")
    claim.exact("function", printed["F.dropout after eval()"], "new masks")


@pytorch
@pytest.mark.filterwarnings("ignore")
def test_the_older_exporter_switches_dropout_off(claim, tmp_path):
    """The older exporter, `dynamo=False`, exports in eval mode unless told `training=TrainingMode.PRESERVE`: of a model in
    training mode it keeps {eval} Dropout operations without that, and {preserve} with it."""
    import torch

    model, path = torch.nn.Sequential(torch.nn.Linear(8, 64), torch.nn.Dropout(0.5)).train(), tmp_path / "m.onnx"
    for name, options, wanted in (("eval", {}, 0), ("preserve", {"training": torch.onnx.TrainingMode.PRESERVE}, 1)):
        torch.onnx.export(model, (torch.ones(4, 8),), path, dynamo=False, **options)
        claim.exact(name, onnx_nodes(path).count("Dropout"), wanted)


def test_masks_without_the_scale_shrink_the_output(claim, program):
    """The wrong twin: with masks of zeros and ones at rate `0.5` the outputs are on average {wrong:.2f} of what the model
    predicts."""
    twin = program("export_wrong")
    predicted, masks = twin["prediction"].astype("float64"), twin["masks"]
    x = np.repeat(twin["x"], 400, axis=0)
    for name, given, expected in (("wrong", masks * 0.5, 0.5), ("right", masks, 1.0)):
        out = numpy(twin["masked"]([x, given])).reshape(50, 400).astype("float64")
        slopes = (out * predicted[:, None]).sum(axis=0) / np.sum(predicted**2)  # one for each of 400 draws
        claim.sampled(name, slopes.mean(), expected, slopes.std() / 20, 400)
