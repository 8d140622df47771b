"""Optuna's NSGA-II, populations of 16."""

from optuna.samplers import NSGAIISampler

from nas.samplers import Proposer
from nas.samplers.from_optuna import from_optuna

ABOUT = "Optuna's NSGA-II, populations of 16"


def proposer() -> Proposer:
    return from_optuna(lambda seed: NSGAIISampler(population_size=16, seed=seed))
