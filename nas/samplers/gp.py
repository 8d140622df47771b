"""Optuna's Gaussian process on what all trials share, log expected hypervolume improvement."""

from optuna.samplers import GPSampler

from nas.samplers import Proposer
from nas.samplers.from_optuna import from_optuna

ABOUT = "Optuna's Gaussian process on what all trials share, log expected hypervolume improvement"


def proposer() -> Proposer:
    return from_optuna(lambda seed: GPSampler(n_startup_trials=8, deterministic_objective=False, seed=seed))
