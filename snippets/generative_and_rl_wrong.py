"""The mistake: preference tuning (DPO) with dropout on in policy and reference."""

import keras
import numpy as np

from generative_and_rl import ACTIONS, Policy, log_probabilities


def dpo_loss(policy, reference, chosen, rejected, beta=1.0):
    """The loss of each pair, from log-probabilities: Rafailov et al. (2023), equation 7."""
    gain = policy - reference
    margin = np.take_along_axis(gain, chosen, -1) - np.take_along_axis(gain, rejected, -1)
    return np.log1p(np.exp(-beta * margin))[:, 0], margin[:, 0]


keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
states = rng.normal(size=(5000, 8)).astype("float32") * 3
chosen = rng.integers(0, ACTIONS, (5000, 1))
rejected = (chosen + rng.integers(1, ACTIONS, (5000, 1))) % ACTIONS
model = Policy()  # policy and reference are this one model, before any step

losses, margins = {}, {}
for dropout in (False, True):
    policy, reference = (log_probabilities(model(states, training=dropout)) for _ in range(2))
    losses[dropout], margins[dropout] = dpo_loss(policy, reference, chosen, rejected)
    equal = np.allclose(losses[dropout], np.log(2))
    print(f"dropout {dropout!s:5} every loss is log 2: {equal}")
    #> dropout False every loss is log 2: True
    #> dropout True  every loss is log 2: False
print(f"with dropout, pairs that look already learned: {np.mean(margins[True] > 0):.1f}")
#> with dropout, pairs that look already learned: 0.5
