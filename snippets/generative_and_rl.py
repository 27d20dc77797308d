"""PPO's ratios before any update: 1 without dropout, not 1 with it, 1 again with kept masks."""

import keras
import numpy as np
from keras import ops

ACTIONS, UNITS, RATE = 4, 128, 0.1


class Policy(keras.Model):
    """Logits of actions from states. A mask that is given is used instead of a new one."""

    def __init__(self, rate=RATE):
        super().__init__()
        self.hidden = keras.layers.Dense(UNITS, "relu")
        self.drop = keras.layers.Dropout(rate)
        self.head = keras.layers.Dense(ACTIONS)

    def call(self, states, mask=None, training=None):
        hidden = self.hidden(states)
        hidden = self.drop(hidden, training=training) if mask is None else hidden * mask
        return self.head(hidden)

    def new_mask(self, n):
        """To be stored beside the transition: zeros, and 1/(1 − rate)."""
        return self.drop(ops.ones((n, UNITS)), training=True)


def log_probabilities(logits):
    return ops.convert_to_numpy(ops.log_softmax(logits))


def act(log_p, rng):
    """An action for each row, drawn by its probability (the Gumbel trick)."""
    return (log_p + rng.gumbel(size=log_p.shape)).argmax(-1)


def ratios(old, new, actions):
    return np.exp(np.take_along_axis(new - old, actions[:, None], -1))[:, 0]


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    policy, states = Policy(), rng.normal(size=(2000, 8)).astype("float32") * 3
    mask = policy.new_mask(len(states))
    calls = {
        "dropout off": {"training": False},
        "two masks": {"training": True},
        "kept mask": {"training": True, "mask": mask},
    }
    for name, how in calls.items():
        old, new = (log_probabilities(policy(states, **how)) for _ in range(2))  # no update between
        ratio = ratios(old, new, act(old, rng))
        clipped = np.mean(np.abs(ratio - 1) > 0.2) > 0.01
        print(f"{name:11} all ratios are 1: {np.all(ratio == 1)!s:5} some are clipped: {clipped}")
        #> dropout off all ratios are 1: True  some are clipped: False
        #> two masks   all ratios are 1: False some are clipped: True
        #> kept mask   all ratios are 1: True  some are clipped: False
