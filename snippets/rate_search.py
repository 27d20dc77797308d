"""Search two dropout rates with Optuna, on one machine or on many at once.

Usage: python rate_search.py [trials] [storage]
The storage is a file on a disk that all machines share, or a database's address.
"""

import sys

import keras
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from fair_comparison import dense, digits, evaluate

DATA = digits(n_train=200, replicas=5, noise=0.3)  # five replicas for each trial


def loss(trial):
    first, second = (trial.suggest_float(f"rate_{i}", 0.0, 0.8, step=0.1) for i in (1, 2))

    def network():
        hidden = [dense(5, 128, "relu"), dense(5, 64, "relu")]
        drop = [keras.layers.Dropout(first), keras.layers.Dropout(second)]
        return [hidden[0], drop[0], hidden[1], drop[1], dense(5, 10)]

    return evaluate(network, DATA, epochs=30)[1].mean()


def search(trials, storage, seed=None):
    if "://" not in storage:
        storage = JournalStorage(JournalFileBackend(storage))
    sampler = optuna.samplers.TPESampler(seed=seed)  # machines that share need different seeds
    study = optuna.create_study(
        study_name="rates", storage=storage, sampler=sampler, load_if_exists=True
    )
    study.optimize(loss, n_trials=trials)
    return study


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    trials, storage = (sys.argv[1:] + ["4", "rate_search.log"][len(sys.argv) - 1 :])[:2]
    study = search(int(trials), storage, seed=0 if len(sys.argv) == 1 else None)
    print("trials in the study:", len(study.trials))
    #> trials in the study: 4
    print("best rates:", *(f"{rate:.1f}" for rate in study.best_params.values()))
    #> best rates: 0.3 0.5
