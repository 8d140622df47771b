"""Evolution by the space's own mutation and crossover, parents from the Pareto front (after Real 2019, Deb 2002)."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from optuna import Study
from optuna.trial import FrozenTrial

from nas.candidates import learned
from nas.pareto import layers
from nas.samplers import Proposer
from search_spaces.arch import Arch
from search_spaces.feasible import Feasible

ABOUT = "mutation and crossover in the space's own terms, parents from the best half by Pareto rank"
STARTUP = 8
CROSSOVER = 0.3


def proposer() -> Proposer:
    def start(study: Study, trial: FrozenTrial, feasible: Feasible, seed: int) -> Callable[[], Arch]:
        rng, parents = Random(seed), _parents(study)
        space = feasible.space

        def propose() -> Arch:
            if len(parents) < STARTUP // 2:
                return feasible.draw(rng)[0]
            child = rng.choice(parents)
            if rng.random() < CROSSOVER:
                child = space.crossover(child, rng.choice(parents), rng)
            return space.mutate(child, rng)

        return propose

    return start


def _parents(study: Study) -> list[Arch]:
    """The best half of what was evaluated, whole Pareto layers first."""
    done = learned(study.get_trials(deepcopy=False))
    if len(done) < STARTUP:
        return []
    best = [i for layer in layers([(a, t.user_attrs["cost"]["flops"]) for t, a in done]) for i in layer]
    return [Arch.parse(done[i][0].user_attrs["arch"]) for i in best[: max(STARTUP // 2, len(done) // 2)]]
