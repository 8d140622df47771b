"""Optuna's NSGA-III, populations of 16."""

from optuna.samplers import NSGAIIISampler

from nas.samplers import Proposer
from nas.samplers.from_optuna import from_optuna

ABOUT = "Optuna's NSGA-III, populations of 16"


def proposer() -> Proposer:
    return from_optuna(lambda seed: NSGAIIISampler(population_size=16, seed=seed))
