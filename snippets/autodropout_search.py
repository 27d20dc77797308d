"""Search AutoDropout's patterns, or a rival's rates, with Optuna, on one machine or on many.

Usage: python autodropout_search.py [method] [rounds] [storage] [epochs]
The storage is a file on a disk that all machines share, or a database's address. A round is eight
trials, trained together as one model; a search that is there already is continued.
"""

import sys

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from autodropout_network import SIDES, drop, network
from fair_comparison import digits, evaluate

TRIALS, SPLITS, EPOCHS = 8, 2, 60  # of a round; each trial is trained on two splits


def scores(method, trials, data, epochs=EPOCHS):
    """Accuracy and loss of the trials, trained as one model: each `(trials, replicas of each)`."""
    replicas = data[0].shape[1]

    def build():
        return network(replicas, [[drop(method, trial, s) for trial in trials] for s in SIDES])

    return [score.reshape(len(trials), -1) for score in evaluate(build, data, epochs)]


def search(method, rounds, storage, seed=None, epochs=EPOCHS):
    """The Optuna study of a method, after some more rounds."""
    if "://" not in storage:
        storage = JournalStorage(JournalFileBackend(storage))
    # machines that share need different seeds; the liar keeps the trials of a round apart
    sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    study = optuna.create_study(
        study_name=method, storage=storage, sampler=sampler, load_if_exists=True
    )
    data = [np.concatenate([part] * TRIALS, axis=1) for part in digits(300, SPLITS, noise=0.3)]
    for _ in range(rounds):
        trials = [study.ask() for _ in range(TRIALS)]
        for trial, losses in zip(trials, scores(method, trials, data, epochs)[1], strict=True):
            study.tell(trial, losses.mean())
    return study


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rest = ["AutoDropout", "1", "autodropout.log", EPOCHS]
    given = sys.argv[1:] or [*rest[:3], "5"]  # a short one, to see it work
    method, rounds, storage, epochs = given + rest[len(given) :]
    seed = 0 if len(sys.argv) == 1 else None
    study = search(method, int(rounds), storage, seed, int(epochs))
    print("trials:", len(study.trials), "decisions in each:", len(study.best_params))
    #> trials: 8 decisions in each: 16
