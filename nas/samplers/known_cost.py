"""A Gaussian process on accuracy alone, FLOPs exact: expected hypervolume improvement over networks that fit.

The method and its papers are in `nas.known_cost`; here a space is what it asks of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, lru_cache
from random import Random

import numpy as np
from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from nas.candidates import EARLIER, learned, standing
from nas.known_cost.belief import Hint, Known
from nas.known_cost.domain import Parameter
from nas.known_cost.proposal import memory, propose, reconsidered
from nas.samplers import Proposer
from search_spaces.arch import Arch
from search_spaces.feasible import Feasible
from search_spaces.lattice import assemble, path_of
from search_spaces.space import Space

ABOUT = "a Gaussian process on accuracy alone, exact FLOPs, expected hypervolume improvement, no repeats"
CROSSOVER = 0.5
LEAST = 8  # networks of an earlier study below which it says nothing


def proposer() -> Proposer:
    return KnownCost()


class KnownCost:
    """The sampler: a proposer, and a judge of networks of which a zero-cost proxy said something."""

    def __call__(self, study: Study, trial: FrozenTrial, feasible: Feasible, seed: int) -> Callable[[], Arch]:
        domain = _networks(feasible)
        ranked = iter(propose(domain, known(study), seed, hints=_memories(study, feasible)))
        rng = Random(seed)
        return lambda: next(ranked, None) or domain.draw(rng)

    def best(
        self,
        study: Study,
        feasible: Feasible,
        candidates: Sequence[Arch],
        hint: Callable[[Arch], float],
        usual: Sequence[Arch],
        seed: int,
    ) -> Arch | None:
        hints = [*_memories(study, feasible), lambda items: np.array([hint(one) for one in items])]
        ranked = reconsidered(_networks(feasible), known(study), candidates, hints, usual, seed)
        return next(iter(ranked), None)


def known(study: Study) -> Known[Arch]:
    """What a study tells: candidates with their accuracy, those that run, those that failed.

    Candidates that stopped at a lower rung are told with the accuracy that they might have had
    (`nas.candidates.learned`). It is less sure than that of others, which the model does not know: one noise is
    fitted to all.
    """
    trials = study.get_trials(deepcopy=False)
    told = learned(trials)
    numbers = {trial.number for trial, _ in told}
    others: dict[bool, list[Arch]] = {True: [], False: []}
    for trial in standing(trials):
        if trial.number not in numbers:
            others[trial.state == TrialState.RUNNING].append(_parsed(trial.user_attrs["arch"]))
    done = [(_parsed(trial.user_attrs["arch"]), accuracy) for trial, accuracy in told]
    return Known(done, running=others[True], failed=others[False])


def _memories(study: Study, feasible: Feasible) -> list[Hint[Arch]]:
    """What earlier studies made of networks, where the search was told of any (`nas.earlier`)."""
    told = [rows for key, rows in sorted(study.user_attrs.items()) if key.startswith(EARLIER)]
    return [_memory(feasible, tuple(map(tuple, rows))) for rows in told if len(rows) >= LEAST]


@lru_cache(maxsize=8)
def _memory(feasible: Feasible, rows: tuple[tuple[str, float], ...]) -> Hint[Arch]:
    return memory(_networks(feasible), [(_parsed(text), accuracy) for text, accuracy in rows])


@lru_cache(maxsize=4)
def _networks(feasible: Feasible) -> Networks:
    return Networks(feasible)


@lru_cache(maxsize=65_536)
def _parsed(text: str) -> Arch:
    return Arch.parse(text)


def parameters(space: Space) -> tuple[Parameter, ...]:
    """The holes that leave a choice; the same field with the same options is of one kind in every stage."""
    return tuple(
        Parameter(path, tuple(hole.labels), f"{path.partition('.')[2]} {hole.labels}")
        for path, hole in space.holes.items()
        if len(hole.labels) > 1
    )


class Networks:
    """The networks of a space that fit a budget, as a `Domain`."""

    def __init__(self, feasible: Feasible) -> None:
        self.feasible, self.space = feasible, feasible.space
        self.params = lru_cache(maxsize=65_536)(feasible.space.params)  # closed holes are left out

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        return parameters(self.space)

    @cached_property
    def dearest(self) -> float:
        """The budget's FLOPs, or where it limits something else the dearest of some draws."""
        limits = dict(self.feasible.budget.limits)
        most = self.feasible.lattice.extreme("flops", -1)[1].flops
        if set(limits) - {"flops"}:
            rng = Random(0)
            most = max(self.feasible.draw(rng)[1].flops for _ in range(256))
        return float(min(most, limits.get("flops", most)))

    def draw(self, rng: Random) -> Arch:
        """Uniform over the networks that fit."""
        return self.feasible.draw(rng)[0]

    def child(self, one: Arch, other: Arch, rng: Random) -> Arch | None:
        """Each stage from one of two parents, or `one` with about one stage of a new draw; if it fits."""
        crossed = one != other and rng.random() < CROSSOVER
        mine, theirs = path_of(one), path_of(other if crossed else self.draw(rng))
        share = 0.5 if crossed else 1 / len(mine)
        taken = {i for i in range(len(mine)) if rng.random() < share} or {rng.randrange(len(mine))}
        child = assemble([theirs[i] if i in taken else mine[i] for i in range(len(mine))], one.eps)
        return child if self.feasible.fits(child) else None

    def neighbours(self, one: Arch) -> Iterable[Arch]:
        """Networks that fit and differ in one choice."""
        return (near for near in self.space.neighbours(one) if self.feasible.budget.fits(self.feasible.cost(near)))

    def cost(self, one: Arch) -> float:
        """FLOPs as deployed."""
        return float(self.feasible.cost(one).flops)
