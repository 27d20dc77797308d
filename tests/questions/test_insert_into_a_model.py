"""How do I insert Dropout between the layers of a model that exists?"""

import keras
import numpy as np
import pytest
from insert_into_a_model import insert_dropout, pretrained
from keras import layers

numpy = keras.ops.convert_to_numpy


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(1000, 20)).astype("float32")


def relu(layer):
    return isinstance(layer, layers.Dense) and layer.activation is keras.activations.relu


def chain():
    parts = [layers.Dense(32, activation="relu"), layers.BatchNormalization(), layers.Dense(32, activation="relu")]
    return keras.Sequential([keras.Input((20,)), *parts, layers.Dense(5)])


def branches():
    """A skip connection, an operation, a layer called twice and two outputs."""
    inputs = keras.Input((20,))
    first = layers.Dense(32, activation="relu")(inputs)
    both = layers.add([first, layers.Dense(32, activation="relu")(first)]) * 2
    shared = layers.Dense(32, activation="relu")
    top = shared(shared(both))
    return keras.Model(inputs, [layers.Dense(5)(top), layers.Dense(3)(top)])


def nested():
    return keras.Sequential([keras.Input((20,)), pretrained(), chain_of(5), layers.Dense(2)])


def chain_of(features):
    return keras.Sequential([keras.Input((features,)), layers.Dense(20, activation="relu")])


def named():
    """Inputs and outputs that are dictionaries."""
    inputs = {"a": keras.Input((20,), name="a"), "b": keras.Input((20,), name="b")}
    top = layers.Dense(16, activation="relu")(layers.concatenate(list(inputs.values())))
    return keras.Model(inputs, {"y": layers.Dense(3)(top)})


def predictions(model, x):
    inputs = {"a": x, "b": x} if len(getattr(model, "inputs", [])) == 2 else x
    return keras.tree.flatten(model.predict(inputs, verbose=0))


def same(model, other, x):
    pairs = zip(predictions(model, x), predictions(other, x), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def dropouts(model):
    found = []
    for layer in model.layers:
        found += dropouts(layer) if isinstance(layer, keras.Model) else [layer] * isinstance(layer, layers.Dropout)
    return found


@pytest.mark.parametrize("build, count", [(chain, 2), (branches, 4), (nested, 3), (named, 1)])
def test_predictions_and_parameters_stay(claim, x, build, count):
    """`insert_dropout` changes no prediction, to the last bit, and adds no parameter: to a chain with BatchNormalization, to
    a model with a skip connection, an operation, a layer called twice and two outputs, to nested models and to one whose
    inputs and outputs are dictionaries."""
    model = build()
    copy = insert_dropout(model, relu, 0.2)
    claim.exact(f"dropouts_{build.__name__}", len(dropouts(copy)), count)
    claim.exact(f"same_{build.__name__}", same(model, copy, x), True)
    claim.exact(f"more_{build.__name__}", copy.count_params() - model.count_params(), 0)


APPLICATIONS = {
    "mobilenet": (
        keras.applications.MobileNetV2,
        {"alpha": 0.35},
        lambda layer: layer.name.endswith("expand_relu"),
        16,
    ),
    "vgg": (keras.applications.VGG16, {}, lambda layer: layer.name in ("fc1", "fc2"), 2),
}


@pytest.mark.parametrize("name", list(APPLICATIONS))
def test_networks_of_keras_applications(claim, name):
    """In MobileNetV2, which has branches, it inserts {mobilenet} Dropout layers, and in VGG16 {vgg}, behind `fc1` and `fc2`.
    Predictions stay the same to the last bit, here with random weights, and training calls become random."""
    build, arguments, behind, count = APPLICATIONS[name]
    model = build(weights=None, input_shape=(32, 32, 3), classes=10, **arguments)
    # so that random weights still put out something that dropout can change
    copy, images = insert_dropout(model, behind, 0.2), np.random.default_rng(0).random((4, 32, 32, 3), dtype="float32")
    claim.exact(name, len(dropouts(copy)), count)
    claim.exact(f"same_{name}", same(model, copy, images), True)
    probe = keras.Model(copy.input, dropouts(copy)[-1].output)
    calls = [numpy(probe(images, training=True)) for _ in range(2)]
    claim.exact(f"random_{name}", not np.array_equal(*calls), True)


def test_it_masks_what_was_chosen(claim, x):
    """With a rate of 0.2 behind `first` and `second` of the nested base, each drops a share of {first:.2f} and
    {second:.2f} of its own outputs in training, and the head drops none."""
    copy = insert_dropout(pretrained(), lambda layer: layer.name in ("first", "second"), 0.2)
    base = copy.get_layer("base")
    for name, drop in zip(("first", "second"), dropouts(base), strict=True):
        before, after = (numpy(t) for t in keras.Model(base.input, [drop.input, drop.output])(x, training=True))
        claim.share(name, after[before > 0] == 0, 0.2)
    claim.exact("head_at_zero", int((numpy(copy(x, training=True)) == 0).sum()), 0)


def test_what_was_frozen_stays_frozen(claim, x):
    """The copy has as many trainable weights as the model, here those of the head alone, {trainable}; it is not compiled."""
    model = pretrained()
    model.get_layer("base").trainable = False
    copy = insert_dropout(model, relu, 0.2)
    claim.exact("trainable", len(copy.trainable_weights), 2)
    claim.exact("compiled", copy.compiled, False)


def test_layers_can_be_shared_instead_of_copied(claim, x):
    """With `clone_function=lambda layer: layer` the layers are not copied: both models have the same weights, training one
    trains the other, and the old one stays without dropout."""
    model = pretrained().get_layer("base")

    def call(layer, *args, **kwargs):
        outputs = layer(*args, **kwargs)
        return layers.Dropout(0.2)(outputs) if relu(layer) else outputs

    sharing = keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=call)
    pairs = zip(model.weights, sharing.weights, strict=True)
    claim.exact("same_variables", all(a is b for a, b in pairs), True)
    before = predictions(model, x)[0]
    sharing.compile("sgd", "mse")
    sharing.fit(x, np.ones((1000, 64)), verbose=0)
    claim.exact("trained_along", not np.array_equal(before, predictions(model, x)[0]), True)
    claim.exact("old_is_random", not np.array_equal(*(numpy(model(x, training=True)) for _ in "ab")), False)


def test_clone_model_leaves_sequential_models_to_you(claim):
    """`call_function` alone does not do: of a Sequential model `clone_model` refuses it, and with `recursive=True` a
    Sequential model inside another gets {inside} Dropout layers."""
    with pytest.raises(ValueError, match="not supported with Sequential") as error:
        keras.models.clone_model(chain(), call_function=lambda layer, x: layer(x))
    claim.exact("refused", error.type.__name__, "ValueError")
    inputs = keras.Input((20,))
    outer = keras.Model(inputs, chain()(inputs))

    def call(layer, *args, **kwargs):
        outputs = layer(*args, **kwargs)
        return layers.Dropout(0.2)(outputs) if relu(layer) else outputs

    claim.exact("inside", len(dropouts(keras.models.clone_model(outer, call_function=call, recursive=True))), 0)


def again(model):
    """The tensors of a model, layer by layer, as the well-known loop calls them."""
    tensor = model.inputs[0]
    for layer in model.layers:
        if not isinstance(layer, layers.InputLayer):
            tensor = layer(tensor)
            if relu(layer):
                tensor = layers.Dropout(0.2)(tensor)
    return keras.Model(model.inputs[0], tensor)


def two_heads():
    inputs = keras.Input((20,))
    body = layers.Dense(8, activation="relu")(inputs)
    return keras.Model(inputs, [layers.Dense(8, name="one")(body), layers.Dense(8, name="two")(body)])


def test_layer_by_layer_works_for_a_chain_alone(claim, x):
    """Calling each layer on the last one's output keeps the predictions of a chain. A layer that wants two inputs fails, and
    a second head is silently fed with the first: it then predicts something else."""
    model = chain()
    claim.exact("chain", same(model, again(model), x), True)
    try:
        again(branches())
        fails = False
    except Exception:  # each backend says it in its own way
        fails = True
    claim.exact("branch_fails", fails, True)
    model = two_heads()
    change = np.abs(predictions(model, x)[1] - predictions(again(model), x)[0]).max()
    claim.exact("second_head_changed", bool(change > 0.1), True)


def test_a_chain_can_be_put_together_anew(claim, x):
    """A Sequential model of the old layers with a Dropout between them predicts the same: it uses the same layers, and no
    weights are copied."""
    model = chain()
    first, *rest = model.layers
    longer = keras.Sequential([keras.Input((20,)), first, layers.Dropout(0.2), *rest])
    claim.exact("put_together", same(model, longer, x), True)
    claim.exact("same_weights", all(a is b for a, b in zip(model.weights, longer.weights, strict=True)), True)


@pytest.mark.parametrize("kind", ["weights.h5", "keras", "h5"])
@pytest.mark.parametrize("build", [chain, nested])
def test_files_saved_without_dropout_fit(claim, x, tmp_path, build, kind):
    """Weights saved without Dropout load into the model with it, and the other way round: from `.weights.h5`, `.keras` and
    `.h5`, of a chain and of nested models."""
    model, path = build(), tmp_path / f"model.{kind}"
    copy = insert_dropout(build(), relu, 0.2)
    name = f"{build.__name__}_{kind.replace('.', '_')}"
    (model.save_weights if kind == "weights.h5" else model.save)(path)
    claim.exact(f"{name}_other_weights", same(model, copy, x), False)
    copy.load_weights(path)
    claim.exact(f"{name}", same(model, copy, x), True)
    back, path = build(), tmp_path / f"back.{kind}"
    (copy.save_weights if kind == "weights.h5" else copy.save)(path)
    back.load_weights(path)
    claim.exact(f"{name}_back", same(model, back, x), True)


def test_by_name_needs_names_that_you_gave(claim, x, tmp_path):
    """`by_name=True` is for `.h5` files alone: “{refused}” And it finds layers by the names that you gave them: of a model
    with automatic names, made a second time, it loads nothing, without an error."""
    model = chain()
    model.save_weights(tmp_path / "model.weights.h5")
    with pytest.raises(ValueError) as error:
        model.load_weights(tmp_path / "model.weights.h5", by_name=True)
    claim.exact(
        "refused",
        str(error.value).split(" Received")[0],
        "`by_name` only supports loading legacy '.h5' or '.hdf5' files.",
    )
    for name, build in (("automatic", chain), ("given", lambda: pretrained().get_layer("base"))):
        saved, copy = build(), insert_dropout(build(), relu, 0.2)
        saved.save(tmp_path / f"{name}.h5")
        before = copy.get_weights()
        copy.load_weights(tmp_path / f"{name}.h5", by_name=True)
        loaded = [not np.array_equal(a, b) for a, b in zip(before, copy.get_weights(), strict=True)]
        claim.exact(f"{name}_any_loaded", any(loaded), name == "given")


def test_a_file_knows_how_models_are_nested(claim, x, tmp_path):
    """Weights of a nested Sequential model load neither into a model that lists the same layers flat nor into one whose inner
    model is Functional, a {flat} each; `set_weights` takes them in both."""
    model = keras.Sequential([keras.Input((20,)), chain_of(20), layers.Dense(2)])
    model.save_weights(tmp_path / "model.weights.h5")
    inner, head = keras.Input((20,)), layers.Dense(2)
    hidden = [layers.Dense(20, activation="relu"), layers.Dropout(0.2)]
    functional = keras.Model(inner, hidden[1](hidden[0](inner)))
    others = {
        "flat": [layers.Dense(20, activation="relu"), hidden[1], layers.Dense(2)],
        "functional": [functional, head],
    }
    for name, parts in others.items():
        other = keras.Sequential([keras.Input((20,)), *parts])
        with pytest.raises(ValueError, match="could not be loaded") as error:
            other.load_weights(tmp_path / "model.weights.h5")
        claim.exact(name, error.type.__name__, "ValueError")
        other.set_weights(model.get_weights())
        claim.exact(f"set_{name}", same(model, other, x), True)


class Own(keras.Model):
    """A subclassed model: no graph."""

    def __init__(self):
        super().__init__()
        self.hidden, self.top = layers.Dense(16, activation="relu"), layers.Dense(2)

    def call(self, inputs):
        return self.top(self.hidden(inputs))


def test_a_subclassed_model_takes_it_before_it_is_built(claim, x):
    """In a subclassed model a layer can be replaced by `Sequential([layer, Dropout(0.2)])` before the first call; weights
    set afterwards give the same predictions. Once built, it refuses: a {refused_late}."""
    model, copy = Own(), Own()
    model(x)
    copy.hidden = keras.Sequential([copy.hidden, layers.Dropout(0.2)])
    copy(x)
    copy.set_weights(model.get_weights())
    claim.exact("own_same", same(model, copy, x), True)
    claim.exact("own_random", not np.array_equal(*(numpy(copy(x, training=True)) for _ in "ab")), True)
    with pytest.raises(ValueError, match="already built") as error:
        model.hidden = keras.Sequential([model.hidden, layers.Dropout(0.2)])
    claim.exact("refused_late", error.type.__name__, "ValueError")


@pytest.mark.parametrize("build", [chain, branches])
def test_inserting_into_the_list_changes_nothing(claim, x, build):
    """`model.layers.insert(1, Dropout(0.5))` leaves the model as it was, Sequential or Functional: as many layers as before,
    and training calls that agree."""
    model = build()
    layers_before = len(model.layers)
    model.layers.insert(1, layers.Dropout(0.5))
    claim.exact(f"added_{build.__name__}", len(model.layers) - layers_before, 0)
    probe = keras.Model(model.inputs[0], model.outputs[0])
    calls = [numpy(probe(x, training=True)) for _ in range(2)]
    claim.exact(f"random_{build.__name__}", not np.array_equal(*calls), False)


def test_behind_the_base_nothing_is_inserted(claim, program):
    """The wrong twin: neither an insertion into `base.layers` nor a Dropout behind the base makes anything random inside it,
    as `insert_dropout` does."""
    twin = program("insert_into_a_model_wrong")
    claim.exact("inside_after_all", twin["random"](twin["base"]), False)
    claim.exact("behind_the_base", twin["random"](twin["appended"]), True)
    inserted = insert_dropout(pretrained(), relu, 0.2).get_layer("base")
    claim.exact("inside_by_insert_dropout", twin["random"](inserted), True)
    claim.exact("base_layers", len(twin["base"].layers), 4)


def test_from_inside_to_the_head_skips_layers(claim, program):
    """The wrong twin: calling the head on an inner layer's output leaves out the layers between, and predictions change by
    {change:.1f} of their own size."""
    twin = program("insert_into_a_model_wrong")
    before, after = twin["before"], twin["after"]
    claim.close("change", np.linalg.norm(after - before) / np.linalg.norm(before), 0.7, 0.4)


@pytest.mark.only("torch", why="it is about PyTorch's own modules")
def test_in_pytorch_a_hook_keeps_every_key(claim):
    """In PyTorch a hook that drops an output changes no key of the state and no prediction. A module inserted into
    `nn.Sequential` moves the keys behind it, and the old state no longer loads: a {error_torch}."""
    import torch
    from insert_into_a_model_torch import insert_dropout as hook
    from insert_into_a_model_torch import pretrained as net
    from torch import nn

    torch.manual_seed(0)
    model, x = net(), torch.randn(1000, 20)
    saved, before = model.state_dict(), model.eval()(x)
    hook(model, lambda name, module: isinstance(module, nn.ReLU), 0.2)
    claim.exact("hook_same", torch.equal(before, model.eval()(x)), True)
    model.train()
    inner = [model[:2](x) for _ in range(2)]
    positive = model[0](x) > 0
    claim.share("hook_share", (inner[0][positive] == 0).numpy(), 0.2)
    claim.exact("hook_random", not torch.equal(*inner), True)
    claim.exact("hook_keys", list(model.state_dict()) == list(saved), True)
    with pytest.raises(RuntimeError) as error:
        net().insert(2, nn.Dropout(0.2)).load_state_dict(saved)
    claim.exact("error_torch", error.type.__name__, "RuntimeError")
