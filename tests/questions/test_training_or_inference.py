"""When is dropout on?"""

import warnings

import keras
import numpy as np
import pytest
from training_or_inference import MCDropout, Passing, ones, phases, share, x, zeros
from training_or_inference_siblings import Leaking, Tight
from training_or_inference_wrong import NoArgument

numpy = keras.ops.convert_to_numpy
INFERENCE = ("validation in fit", "evaluate", "predict", "model(x)")


def on(claim, name, value):
    """Half of the outputs are zero, as far as so many draws can tell."""
    claim.sampled(name, value, 0.5, (0.25 / x.size) ** 0.5, x.size)


def off(claim, name, value):
    claim.exact(name, float(value), 0.0)


def sequential(dropout=keras.layers.Dropout):
    return keras.Sequential([keras.Input((100,)), ones(), dropout(0.5)])


def nested(training=None, frozen=False):
    """A base model with Dropout inside another model."""
    inputs, base = keras.Input((100,)), sequential()
    base.trainable = not frozen
    arguments = {} if training is None else {"training": training}
    return keras.Model(inputs, base(ones()(inputs), **arguments))


def block_without_argument():
    """A layer of one's own whose `call` takes no `training`, inside a Sequential model."""

    class Block(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.dropout = keras.layers.Dropout(0.5)

        def call(self, inputs):
            return self.dropout(inputs)

    return keras.Sequential([keras.Input((100,)), ones(), Block()])


def passing():
    return Passing(0.5)


def stateless(model):
    """The share of zeros when the model's variables are passed in, as `fit` does under JAX."""
    model(x)
    outputs, _ = model.stateless_call(model.trainable_variables, model.non_trainable_variables, x, training=True)
    return share(outputs)


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


KERAS_2 = pytest.mark.only("tensorflow", why="Keras 2 runs on TensorFlow alone")


@pytest.fixture
def keras2():
    """Keras 2, which lives on as `tf_keras`; the snippets' `phases` and `share` take its models as they are."""
    import tf_keras

    tf_keras.utils.set_random_seed(0)
    return tf_keras


def ones2(keras2):
    return keras2.layers.Dense(100, kernel_initializer="identity")


@pytest.mark.parametrize("build", [sequential, nested, block_without_argument, passing])
def test_on_in_fit_and_off_in_the_rest(claim, build):
    """Dropout(0.5) drops a share of {fit_sequential:.2f} in `fit`, and nothing in its validation, in `evaluate`, in
    `predict` and in a plain `model(x)`: in a Sequential model, a nested one, and subclasses that pass `training` on."""
    shares, name = phases(build()), build.__name__
    on(claim, f"fit_{name}", shares["fit"])
    for phase in INFERENCE:
        off(claim, f"{phase.split('(')[0].replace(' ', '_')}_{name}", shares[phase])


def test_single_batches_follow_the_same_rule(claim):
    """`train_on_batch` trains with dropout; `test_on_batch` and `predict_on_batch` run without it."""
    model = sequential()
    phases(model)
    model.reset_metrics()
    on(claim, "train_on_batch", model.train_on_batch(x, x, return_dict=True)["zeros"])
    model.reset_metrics()
    off(claim, "test_on_batch", model.test_on_batch(x, x, return_dict=True)["zeros"])
    off(claim, "predict_on_batch", share(model.predict_on_batch(x)))


@pytest.mark.parametrize("build", [sequential, nested, passing])
def test_a_call_of_your_own_says_it_itself(claim, build):
    """In a loop of your own, `model(x)` runs without dropout and `model(x, training=True)` with it: in a Sequential
    model, a nested one, and a subclass that passes `training` on."""
    model, name = build(), build.__name__
    off(claim, f"plain_{name}", share(model(x)))
    on(claim, f"training_{name}", share(model(x, training=True)))


@pytest.mark.holds("keras>=3.10", why="before, a call could not say it to a model that does not ask")
def test_a_call_reaches_a_model_that_does_not_take_training(claim):
    """`model(x, training=True)` switches dropout on, a share of {untold_training:.2f}, also in a subclassed Model whose
    `call` takes no `training`; `model(x)` leaves it off."""
    model = NoArgument()
    off(claim, "untold_plain", share(model(x)))
    on(claim, "untold_training", share(model(x, training=True)))


@pytest.mark.holds("keras>=3.0,<3.16", why="Keras 2 keeps what is written into the graph, and Keras 3.16 will again")
def test_training_true_in_the_graph_does_not_reach_predict(claim):
    """A `Dropout(0.5)(x, training=True)` of a functional model drops a share of {true_call:.2f} in
    `model(x)`, and nothing in `predict` and `evaluate`."""
    inputs = keras.Input((100,))
    shares = phases(keras.Model(inputs, keras.layers.Dropout(0.5)(ones()(inputs), training=True)))
    on(claim, "true_call", shares["model(x)"])
    for phase in ("validation in fit", "evaluate", "predict"):
        off(claim, f"true_{phase.replace(' ', '_')}", shares[phase])


@pytest.mark.holds("keras>=3.0,<3.16", why="Keras 2 keeps what is written into the graph, and Keras 3.16 will again")
@pytest.mark.parametrize("frozen", [False, True])
def test_training_false_in_the_graph_is_overridden_by_fit(claim, frozen):
    """`fit` overrides `base(x, training=False)`: the Dropout inside the base drops a share of
    {base_open:.2f}, and of {base_frozen:.2f} when the base is frozen."""
    shares = phases(nested(training=False, frozen=frozen))
    on(claim, f"base_{'frozen' if frozen else 'open'}", shares["fit"])
    off(claim, f"call_{'frozen' if frozen else 'open'}", shares["model(x)"])


@pytest.mark.holds("keras>=3.0,<3.16", why="Keras 2 keeps what is written into the graph, and Keras 3.16 will again")
def test_batch_normalization_is_overridden_unless_frozen(claim):
    """`fit` also moves the statistics of a BatchNormalization in `base(x, training=False)`, unless the base is
    frozen."""
    for frozen in (False, True):
        inputs, norm = keras.Input((100,)), keras.layers.BatchNormalization()
        base = keras.Sequential([keras.Input((100,)), norm])
        base.trainable = not frozen
        model = keras.Model(inputs, base(ones()(inputs), training=False))
        model.compile("sgd", "mse")
        model.fit(x, x, verbose=0)
        moved = bool(np.any(numpy(norm.moving_mean) != 0))
        claim.exact(f"moved_{'frozen' if frozen else 'open'}", moved, not frozen)


@pytest.mark.holds("keras>=3.0", why="Keras 2 had a global default for training")
def test_a_call_without_training_trains_with_dropout_off(claim):
    """A subclassed Model whose `call` takes no `training` drops a share of {silent_fit:.2f} in `fit`,
    without a warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        off(claim, "silent_fit", phases(NoArgument())["fit"])
    claim.exact("warnings", sum(issubclass(warning.category, UserWarning) for warning in caught), 0)


@pytest.mark.holds("keras>=3.0,<3.16", why="Keras 3.16 will hand it down in `stateless_call`, too")
def test_taking_training_is_not_enough_everywhere(claim):
    """A `call` that takes `training` and does not pass it on drops nothing in `stateless_call`, which `fit` uses under
    JAX; one that passes it on drops a share of {stateless_passed:.2f}."""

    class Keeping(Passing):
        def call(self, inputs, training=None):
            return self.dropout(self.dense(inputs))

    off(claim, "stateless_kept", stateless(Keeping(0.5)))
    on(claim, "stateless_passed", stateless(Passing(0.5)))


def test_mc_dropout_is_always_on(claim):
    """`MCDropout` drops in `predict` too, a share of {mc_predict:.2f}, each time with another mask."""
    model = sequential(MCDropout)
    for phase, value in phases(model).items():
        on(claim, f"mc_{phase.split('(')[0].replace(' ', '_')}{'_training' * ('=' in phase)}", value)
    first, second = (model.predict(x, verbose=0) == 0 for _ in range(2))
    claim.share("mc_same_fate_twice", first == second, 0.5)


def test_calling_in_training_mode_moves_batch_normalization(claim):
    """`model(x, training=True)` also moves the statistics of a BatchNormalization in the model; `MCDropout` and
    `model(x)` leave them alone."""
    for name, training in (("call_moves", True), ("mc_moves", None)):
        norm = keras.layers.BatchNormalization()
        model = keras.Sequential([keras.Input((100,)), MCDropout(0.5), norm])
        model(x, training=training)
        claim.exact(name, bool(np.any(numpy(norm.moving_mean) != 0)), training is True)


def test_mc_dropout_keeps_to_itself(claim):
    """`MCDropout` does not leak: a Dropout called after it follows the model, on in training and off otherwise."""

    class Block(Leaking):
        def __init__(self):
            super().__init__()
            self.a = MCDropout(0.5)

        def call(self, inputs, training=None):
            return self.a(inputs), self.b(inputs)

    first, second = Block()(x)
    on(claim, "first_in_inference", share(first))
    off(claim, "second_in_inference", share(second))
    on(claim, "second_in_training", share(Block()(x, training=True)[1]))


def test_a_rate_of_zero_silences_a_base(claim):
    """To train on a base without its dropout, set `layer.rate = 0` before `compile`: `fit` then drops nothing."""
    inputs, base = keras.Input((100,)), sequential()
    for layer in base.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0
    off(claim, "silenced_fit", phases(keras.Model(inputs, base(inputs)))["fit"])


class Given(Leaking):
    """A block whose first Dropout is given a `training` of its own."""

    def __init__(self, given):
        super().__init__()
        self.given = given

    def call(self, inputs, training=None):
        self.a(inputs, training=self.given)
        return self.b(inputs)


@pytest.mark.holds("keras>=3.0", why="in Keras 2 an argument concerns one layer")
def test_a_training_argument_leaks_to_later_siblings(claim):
    """A `training=` given to one layer inside `call` reaches the layers called after it: after `training=False` a
    Dropout drops a share of {leak_false:.2f} in training, after `training=True` one of {leak_true:.2f} at inference."""
    off(claim, "leak_false", share(Given(False)(x, training=True)))
    on(claim, "leak_true", share(Given(True)(x, training=False)))


@pytest.mark.holds("keras>=3.10", why="before, None counted as not given")
def test_even_none_leaks(claim):
    """Even `training=None` given to one layer reaches those after it: a Dropout behind it drops a share of
    {leak_none:.2f} in training."""
    off(claim, "leak_none", share(Given(None)(x, training=True)))


def test_passing_training_on_stops_the_leak(claim):
    """A layer that is given `training=training` itself is safe from its siblings: a share of {tight:.2f} in training
    and nothing at inference, where the leaking block drops a share of {leaking:.2f} in training."""
    off(claim, "leaking", share(Leaking()(x, training=True)[1]))
    on(claim, "tight", share(Tight()(x, training=True)[1]))
    off(claim, "tight_inference", share(Tight()(x)[1]))


@pytest.mark.holds("keras>=3.10,<3.16", why="before, Resizing reached even a layer that is told; after, none")
def test_a_layer_with_another_default_switches_it_on(claim):
    """A `Resizing` in front, whose own default is `training=True`, switches a Dropout on in a subclass
    called as `model(x)`: a share of {resized:.2f}, and none once `training` is passed on."""

    class Resized(keras.Model):
        def __init__(self, pass_on):
            super().__init__()
            self.resize, self.dropout, self.pass_on = keras.layers.Resizing(10, 10), keras.layers.Dropout(0.5), pass_on

        def call(self, inputs, training=None):
            inputs = self.resize(inputs)
            return self.dropout(inputs, training=training) if self.pass_on else self.dropout(inputs)

    images = x.reshape(1000, 10, 10, 1)
    on(claim, "resized", share(Resized(False)(images)))
    off(claim, "resized_passed_on", share(Resized(True)(images)))


def test_the_function_drops_at_every_call(claim):
    """`keras.random.dropout` knows no `training`: it drops at every call, a share of {function:.2f}."""
    on(claim, "function", share(keras.random.dropout(keras.ops.convert_to_tensor(x), 0.5)))


def test_the_constructor_takes_no_training(claim):
    """`Dropout(0.5, training=True)` is a `ValueError`: “{message}”."""
    with pytest.raises(ValueError) as error:
        keras.layers.Dropout(0.5, training=True)
    expected = "Unrecognized keyword arguments passed to Dropout: {'training': True}"
    claim.exact("message", str(error.value), expected)


def test_there_is_no_learning_phase(claim):
    """Keras 3 has no `learning_phase` and no `set_learning_phase` in `keras.backend`."""
    found = [name for name in ("learning_phase", "set_learning_phase") if hasattr(keras.backend, name)]
    claim.exact("learning_phases", len(found), 0)


@pytest.mark.holds("keras>=3.0,<3.16", why="Keras 2 keeps what is written into the graph, and Keras 3.16 will again")
def test_the_three_mistakes_do_the_opposite(claim, program):
    """The wrong twin: dropout meant to be always on drops a share of {twin_always:.2f} in `predict`; meant to be off in
    the base, {twin_never:.2f} in `fit`; meant to be on, {twin_silent:.2f} in `fit`."""
    twin = program("training_or_inference_wrong")
    off(claim, "twin_always", twin["always"]["predict"])
    on(claim, "twin_never", twin["never"]["fit"])
    off(claim, "twin_silent", twin["silent"]["fit"])


# ---------------------------------------------------------------------------------------- in Keras 2


@KERAS_2
def test_in_keras_2_training_in_the_graph_stays(claim, keras2):
    """In Keras 2 a `training=` written into the graph stays: with `training=True` a Dropout drops a share of
    {keras2_true_predict:.2f} in `predict` and {keras2_true_evaluate:.2f} in `evaluate`, with `training=False` nothing
    in `fit`."""
    inputs = keras2.Input((100,))

    def model(training):
        return keras2.Model(inputs, keras2.layers.Dropout(0.5)(ones2(keras2)(inputs), training=training))

    for phase, value in phases(model(True)).items():
        on(claim, f"keras2_true_{phase.split('(')[0].replace(' ', '_')}{'_training' * ('=' in phase)}", value)
    for phase, value in phases(model(False)).items():
        off(claim, f"keras2_false_{phase.split('(')[0].replace(' ', '_')}{'_training' * ('=' in phase)}", value)


@KERAS_2
@pytest.mark.parametrize("frozen", [False, True])
def test_in_keras_2_training_false_keeps_a_base_quiet(claim, keras2, frozen):
    """In Keras 2 `base(x, training=False)` holds under `fit`, frozen or not: the base's Dropout drops nothing, and its
    BatchNormalization moves no statistics."""
    inputs, norm, name = keras2.Input((100,)), keras2.layers.BatchNormalization(), "frozen" if frozen else "open"
    base = keras2.Sequential([keras2.Input((100,)), ones2(keras2), norm, keras2.layers.Dropout(0.5)])
    base.trainable = not frozen
    model = keras2.Model(inputs, base(ones2(keras2)(inputs), training=False))
    off(claim, f"keras2_base_fit_{name}", phases(model)["fit"])
    claim.exact(f"keras2_moved_{name}", bool(np.any(norm.moving_mean.numpy() != 0)), False)


@KERAS_2
def test_in_keras_2_a_call_without_training_trains_with_dropout(claim, keras2):
    """In Keras 2 a subclassed Model whose `call` takes no `training` drops a share of {keras2_silent_fit:.2f} in `fit`,
    and nothing in `predict`."""

    class NoArgument2(keras2.Model):
        def __init__(self):
            super().__init__()
            self.dense, self.dropout = ones2(keras2), keras2.layers.Dropout(0.5)

        def call(self, inputs):
            return self.dropout(self.dense(inputs))

    shares = phases(NoArgument2())
    on(claim, "keras2_silent_fit", shares["fit"])
    off(claim, "keras2_silent_predict", shares["predict"])


@KERAS_2
def test_in_keras_2_a_training_argument_concerns_one_layer(claim, keras2):
    """In Keras 2 nothing leaks: behind a sibling called with `training=False` or `training=None`, a Dropout drops a
    share of {keras2_leak_false:.2f} in training, and behind `training=True` nothing at inference."""

    class Given2(keras2.layers.Layer):
        def __init__(self, given):
            super().__init__()
            self.given = given
            self.a, self.b = keras2.layers.Dropout(0.5), keras2.layers.Dropout(0.5)

        def call(self, inputs, training=None):
            self.a(inputs, training=self.given)
            return self.b(inputs)

    on(claim, "keras2_leak_false", share(Given2(False)(x, training=True)))
    on(claim, "keras2_leak_none", share(Given2(None)(x, training=True)))
    off(claim, "keras2_leak_true", share(Given2(True)(x, training=False)))


@KERAS_2
def test_in_keras_2_the_learning_phase_is_a_default_for_plain_calls(claim, keras2):
    """In Keras 2 `set_learning_phase(1)` makes a plain `model(x)` drop, a share of {keras2_phase_call:.2f}, and does
    not reach `predict`, which drops nothing; `set_learning_phase(0)` does not stop `fit`, which drops
    {keras2_phase_fit:.2f}."""
    backend = keras2.backend
    model = keras2.Sequential([keras2.Input((100,)), ones2(keras2), keras2.layers.Dropout(0.5)])
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            backend.set_learning_phase(1)
        claim.exact("keras2_phase_deprecated", "deprecated" in str(caught[0].message), True)
        model.compile("sgd", "mse", metrics=[zeros])
        on(claim, "keras2_phase_call", share(model(x)))
        off(claim, "keras2_phase_predict", share(model.predict(x, verbose=0)))
        off(claim, "keras2_phase_evaluate", model.evaluate(x, x, verbose=0, return_dict=True)["zeros"])
        backend.set_learning_phase(0)
        on(claim, "keras2_phase_fit", model.fit(x, x, verbose=0).history["zeros"][0])
    finally:
        backend.clear_session()
    off(claim, "keras2_phase_afterwards", share(model(x)))


# ------------------------------------------------------------------------------------------------ PyTorch

TORCH = pytest.mark.only("torch", why="`torch.nn` is PyTorch's")


def torch_shares(model=None):
    """The share of zeros behind each dropout of the PyTorch program's model, and the model."""
    import torch
    from training_or_inference_torch import Net, shares

    torch.manual_seed(0)
    model = Net() if model is None else model
    return [*shares(model, torch.tensor(x)).values()], model


@TORCH
def test_in_pytorch_a_module_is_on_until_eval(claim):
    """A `torch.nn.Dropout(0.5)` drops a share of {torch_built:.2f} as built and of {torch_no_grad:.2f} under `no_grad`,
    nothing after `eval()`, and {torch_train:.2f} after `train()`."""
    import torch

    built, model = torch_shares()
    with torch.no_grad():
        no_grad, _ = torch_shares(model)
    silent, _ = torch_shares(model.eval())
    again, _ = torch_shares(model.train())
    on(claim, "torch_built", built[0])
    on(claim, "torch_no_grad", no_grad[0])
    off(claim, "torch_eval", silent[0])
    on(claim, "torch_train", again[0])


@TORCH
def test_in_pytorch_the_function_ignores_eval(claim):
    """After `eval()`, `F.dropout(x, 0.5)` still drops a share of {torch_function:.2f}; with `training=self.training` it
    drops nothing."""
    _, model = torch_shares()
    shares, _ = torch_shares(model.eval())
    on(claim, "torch_function", shares[1])
    off(claim, "torch_function_told", shares[2])


@TORCH
def test_in_pytorch_eval_misses_a_module_in_a_list(claim):
    """A `torch.nn.Dropout` that a model keeps in a plain list drops a share of {torch_listed:.2f} after `eval()`."""
    _, model = torch_shares()
    shares, _ = torch_shares(model.eval())
    on(claim, "torch_listed", shares[3])


@TORCH
def test_in_pytorch_dropouts_alone_can_be_on(claim):
    """After `eval()` on the model and `train()` on its dropouts alone, these drop a share of {torch_alone:.2f}, and the
    model itself stays in inference mode."""
    from torch import nn

    _, model = torch_shares()
    model.eval()
    for module in model.modules():
        module.train(isinstance(module, nn.Dropout))
    shares, _ = torch_shares(model)
    on(claim, "torch_alone", shares[0])
    claim.exact("torch_model_trains", model.training, False)
