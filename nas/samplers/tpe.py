"""Optuna's tree-structured Parzen estimator, multivariate, conditional choices in groups."""

from optuna.samplers import TPESampler

from nas.samplers import Proposer
from nas.samplers.from_optuna import from_optuna

ABOUT = "Optuna's tree-structured Parzen estimator, multivariate, conditional choices in groups"


def proposer() -> Proposer:
    return from_optuna(lambda seed: TPESampler(n_startup_trials=8, multivariate=True, group=True, seed=seed))
