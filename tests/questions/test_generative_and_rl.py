"""Where does dropout stay on outside classification: GANs, autoencoders, reinforcement learning?"""

import keras
import numpy as np
import pytest
from generative_and_rl import ACTIONS, Policy, act, log_probabilities, ratios
from generative_and_rl_pix2pix import generator
from keras import ops
from mc_dropout import always_on

numpy = ops.convert_to_numpy
layers = keras.layers
POLICIES, STATES = 10, 2000


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="module")
def states():
    return np.random.default_rng(0).normal(size=(STATES, 8)).astype("float32") * 3


@pytest.fixture(scope="module")
def before_any_update(states):
    """Log-probabilities of ten policies, old and new, and actions by the old ones: `(way, policy, …)`."""
    rng = np.random.default_rng(1)
    ways = {"off": (False, False), "two masks": (True, True), "mixed": (False, True)}
    found = {way: [] for way in ways}
    for seed in range(POLICIES):
        keras.utils.set_random_seed(seed)
        policy = Policy()
        for way, modes in ways.items():
            old, new = (log_probabilities(policy(states, training=mode)) for mode in modes)
            found[way].append((old, new, act(old, rng)))
    return found


def test_without_dropout_every_ratio_is_one(claim, before_any_update):
    """Before any update, with dropout off, PPO's ratio of new to old probability is exactly {ratio:.0f} for every
    action, and the divergence between the policies is {divergence:.0f}."""
    old, new, actions = before_any_update["off"][0]
    claim.exact("ratio", float(ratios(old, new, actions).max()), 1.0)
    claim.exact("smallest_ratio", float(ratios(old, new, actions).min()), 1.0)
    claim.exact("divergence", float((np.exp(old) * (old - new)).sum()), 0.0)


def test_with_two_masks_ratios_are_clipped_before_any_update(claim, before_any_update):
    """With dropout at rate 0.1 in both passes, a share of {clipped.interval:.2f} of the ratios lies beyond the usual
    clipping range of 0.2 before anything was learned, and the divergence of a policy from itself is
    {divergence_of_itself.interval:.3f} nats, over {clipped.n} policies."""
    runs = before_any_update["two masks"]
    beyond = [np.mean(np.abs(ratios(*run) - 1) > 0.2) for run in runs]
    claim.trained("clipped", beyond, above=0.01)
    divergence = [(np.exp(old) * (old - new)).sum(-1).mean() for old, new, _ in runs]
    claim.trained("divergence_of_itself", divergence, above=0)


def test_sampling_with_dropout_off_does_not_help(claim, before_any_update):
    """Acting with dropout off and updating with it on leaves {mixed.interval:.2f} of the ratios beyond 0.2."""
    beyond = [np.mean(np.abs(ratios(*run) - 1) > 0.2) for run in before_any_update["mixed"]]
    claim.trained("mixed", beyond, above=0.01)


def test_the_mean_ratio_says_nothing(claim, before_any_update):
    """The mean of the ratios over actions of the old policy is one all the same, {mean_ratio:.3f} measured, so a mean in
    a log shows nothing."""
    old, new, actions = (np.concatenate(part) for part in zip(*before_any_update["two masks"], strict=True))
    ratio = ratios(old, new, actions).astype("float64")
    claim.sampled("mean_ratio", ratio.mean(), 1, ratio.std() / ratio.size**0.5, ratio.size)


def test_a_kept_mask_brings_the_ratio_back(claim, states):
    """With each transition's mask kept and used again in the update, every ratio is exactly {kept:.0f}, and dropout
    drops a share of {share:.3f}."""
    policy = Policy()
    mask = policy.new_mask(STATES)
    old, new = (log_probabilities(policy(states, mask=mask, training=True)) for _ in range(2))
    actions = act(old, np.random.default_rng(0))
    claim.exact("kept", float(np.abs(ratios(old, new, actions) - 1).max()) + 1, 1.0)
    claim.share("share", numpy(mask) == 0, 0.1)


def test_dpo_starts_at_log_two_and_still_moves(claim, states):
    """DPO on a policy equal to its reference starts at a loss of log 2, {first:.3f}, and its gradient is not zero: the
    first step moves the logit of the chosen answer up by half the rate times β and that of the rejected one down."""
    vocabulary, beta, step = 6, 0.5, 1.0
    policy = keras.Sequential([keras.Input((1,)), layers.Dense(vocabulary, use_bias=False, kernel_initializer="zeros")])
    start = numpy(policy.layers[0].kernel).copy()

    def loss(pair, logits):  # the columns of `pair`: one-hot of chosen minus one-hot of rejected
        gain = ops.log_softmax(logits) - np.log(1 / vocabulary).astype("float32")  # the reference is uniform
        return -ops.log_sigmoid(beta * ops.sum(gain * pair, axis=-1))

    pair = np.eye(vocabulary, dtype="float32")[[2]] - np.eye(vocabulary, dtype="float32")[[4]]
    policy.compile(keras.optimizers.SGD(step), loss)
    claim.close("first", float(policy.train_on_batch(np.ones((1, 1)), pair)), np.log(2), 1e-5)
    moved = (numpy(policy.layers[0].kernel) - start)[0]
    claim.close("chosen_moves", moved[2], step * beta / 2, 1e-5)
    claim.close("rejected_moves", moved[4], -step * beta / 2, 1e-5)


def test_with_dropout_dpo_compares_masks(claim, program):
    """The wrong twin: with dropout on, DPO on two equal models starts above log 2, by {above_log_two.interval:.3f}, and
    a share of {learned:.2f} of random pairs looks already learned."""
    twin = program("generative_and_rl_wrong")
    claim.close("off", np.abs(twin["losses"][False] - np.log(2)).max(), 0, 1e-5)
    parts = (twin["losses"][True] - np.log(2)).reshape(20, -1).mean(axis=1)
    claim.trained("above_log_two", parts, above=0)
    claim.share("learned", twin["margins"][True] > 0, 0.5)


def test_predict_silences_the_generator(claim):
    """A generator whose only noise is dropout gives {predicted} image in three predictions, {called} with
    `training=True`, and {always} from a copy with `always_on`, in `predict`."""
    image = np.random.default_rng(0).random((1, 16, 16, 1), dtype="float32")
    model = generator()
    noisy = always_on(model)

    def different(make):
        return len({numpy(make()).tobytes() for _ in range(3)})

    claim.exact("predicted", different(lambda: model.predict(image, verbose=0)), 1)
    claim.exact("called", different(lambda: model(image, training=True)), 3)
    claim.exact("always", different(lambda: noisy.predict(image, verbose=0)), 3)


def test_a_batch_of_one_normalises_each_image_by_itself(claim):
    """In a batch of one image and `training=True`, BatchNormalization gives each feature map of that image mean
    {mean:.1f} and variance {variance:.1f}, as instance normalization does; with `training=False` it does not."""
    norm = layers.BatchNormalization(epsilon=1e-6)
    maps = np.random.default_rng(0).normal(3, 2, size=(1, 32, 32, 4)).astype("float32")
    y = numpy(norm(maps, training=True))
    claim.close("mean", np.abs(y.mean(axis=(0, 1, 2))).max(), 0, 1e-4)
    claim.close("variance", y.var(axis=(0, 1, 2)).mean(), 1, 1e-3)
    claim.exact("not_at_inference", bool(np.abs(numpy(norm(maps)).mean(axis=(0, 1, 2))).max() > 1), True)


def test_a_frozen_discriminator_still_drops(claim):
    """`discriminator.trainable = False` does not silence it: called with `training=True` it drops a share of
    {frozen:.3f}, as before."""
    discriminator = keras.Sequential([keras.Input((200,)), layers.Dropout(0.3)])
    discriminator.trainable = False
    claim.share("frozen", numpy(discriminator(np.ones((500, 200), "float32"), training=True)) == 0, 0.3)


@pytest.mark.only("tensorflow", why="a train_step of JAX takes and returns a state")
def test_in_a_train_step_nobody_sets_training(claim):
    """In a `train_step` of your own, inside `fit`, `self.discriminator(x)` drops a share of {plain:.2f} and
    `self.discriminator(x, training=True)` one of {told:.2f}."""

    class Adversarial(keras.Model):
        def __init__(self):
            super().__init__()
            self.discriminator = keras.Sequential([layers.Dropout(0.5)])

        def train_step(self, data):
            plain, told = self.discriminator(data), self.discriminator(data, training=True)
            return {name: ops.mean(ops.cast(y == 0, "float32")) for name, y in (("plain", plain), ("told", told))}

    model, n = Adversarial(), 500 * 200
    model.compile()
    shares = model.fit(np.ones((500, 200), "float32"), batch_size=500, verbose=0).history
    claim.exact("plain", shares["plain"][0], 0.0)
    claim.sampled("told", shares["told"][0], 0.5, 0.5 / n**0.5, n)


def test_an_autoencoder_with_dropped_inputs_trains_on_a_harder_task(claim):
    """Of an autoencoder that copies its input perfectly, with Dropout(0.2) on the input, `fit` reports a mean squared
    error of {training:.3f}, rate/(1 − rate) times the mean square of the input, and `evaluate` one of
    {evaluation:.3f}."""
    x = np.random.default_rng(0).normal(size=(2000, 100)).astype("float32")
    model = keras.Sequential(
        [keras.Input((100,)), layers.Dropout(0.2), layers.Dense(100, kernel_initializer="identity")]
    )
    model.compile(keras.optimizers.SGD(0.0), "mse")
    square = x.astype("float64") ** 2
    reported = model.fit(x, x, batch_size=2000, verbose=0).history["loss"][0]
    # each error is x² with probability 0.2, and x²/16 otherwise
    variance = (square**2).mean() * (0.2 + 0.8 / 256 - 0.25**2)
    claim.sampled("training", reported, 0.25 * square.mean(), (variance / x.size) ** 0.5, x.size)
    claim.close("evaluation", model.evaluate(x, x, verbose=0), 0, 1e-6)


def test_masking_noise_is_dropout_without_the_scaling(claim):
    """Masking noise, as in a denoising autoencoder, keeps a value as it is; `Dropout(0.2)` multiplies it by {kept:.2f}.
    So with the former the mean of the inputs is {masked:.2f} in training where it is 1 at inference, and with Dropout it
    is {dropped:.2f}."""
    ones = np.ones((1000, 100), "float32")
    y = numpy(layers.Dropout(0.2)(ones, training=True))
    claim.close("kept", y.max(), 1.25, 1e-6)
    error = (0.2 * 0.8 / ones.size) ** 0.5
    claim.sampled("masked", (y > 0).mean(), 0.8, error, ones.size)
    claim.sampled("dropped", y.mean(), 1, error / 0.8, ones.size)


def test_a_policy_has_no_other_randomness(claim, states):
    """Two inference passes of the policy agree in every one of {numbers:,} log-probabilities."""
    policy = Policy()
    a, b = (log_probabilities(policy(states)) for _ in range(2))
    claim.exact("numbers", int((a == b).sum()), STATES * ACTIONS)
