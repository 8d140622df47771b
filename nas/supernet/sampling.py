"""Which networks a step of the supernet's training trains. A pure function of seed and step, so that runs resume."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from random import Random

from nas.budgeted import mixed
from nas.supernet.extents import offers_alternatives
from search_spaces.arch import Arch
from search_spaces.feasible import Feasible
from search_spaces.holes import Hole, Label
from search_spaces.space import weighted

STRATEGIES = ("uniform", "fair", "sandwich")
RANDOM = 2  # networks of a sandwich between the largest and the smallest (BigNAS, OFA: 2)
TRIES = 16
DRAWS = 256


@dataclass(frozen=True)
class Sampling:
    """The networks of each step.

    uniform: one, uniform over all that fit the budget (Guo 2020, whose budget is uniform by ranges of cost).
    fair: as many as a hole over blocks has alternatives, each of which is taken once (Chu 2021); the other
        choices are uniform. It keeps to the budget where a few draws find such a network.
    sandwich: the largest and the smallest that fit, and two uniform ones, which learn from the largest (Yu 2020).
    """

    feasible: Feasible
    strategy: str = "uniform"
    seed: int = 0

    @property
    def distils(self) -> bool:
        """Whether a step's other networks learn from its first."""
        return self.strategy == "sandwich"

    def shown(self, count: int) -> list[Arch]:
        """The smallest network, some uniform ones, the largest: always the same."""
        rng = Random(mixed(self.seed, -1))
        return [self.smallest, *(self.feasible.draw(rng)[0] for _ in range(count)), self.largest]

    def at(self, step: int) -> list[Arch]:
        """The networks of a step; of a sandwich, the largest comes first."""
        rng = Random(mixed(self.seed, step))
        if self.strategy == "sandwich":
            return [self.largest, *(self.feasible.draw(rng)[0] for _ in range(RANDOM)), self.smallest]
        if self.strategy == "fair" and self._alternatives:
            most = max(len(hole.labels) for hole in self._alternatives.values())
            return [self._forced(self._turn(step * most + i), rng) for i in range(most)]
        return [self.feasible.draw(rng)[0]]

    @cached_property
    def largest(self) -> Arch:
        """The dearest network; where it is over the budget, the dearest of many that fit."""
        dearest, rng = self.feasible.lattice.extreme("flops", -1)[0], Random(mixed(self.seed, -2))
        if self.feasible.fits(dearest):
            return dearest
        return max((self.feasible.draw(rng) for _ in range(DRAWS)), key=lambda drawn: drawn[1].flops)[0]

    @cached_property
    def smallest(self) -> Arch:
        """The cheapest network."""
        cheapest = self.feasible.lattice.extreme("flops")[0]
        return cheapest if self.feasible.fits(cheapest) else self.feasible.repair(cheapest)

    @cached_property
    def _alternatives(self) -> dict[str, Hole]:
        return {path: hole for path, hole in self.feasible.space.holes.items() if offers_alternatives(hole)}

    def _turn(self, index: int) -> dict[str, Label]:
        """Whose turn it is in each hole over blocks: every round is a permutation of its alternatives."""
        turns = {}
        for place, (path, hole) in enumerate(self._alternatives.items()):
            round_, nth = divmod(index, len(hole.labels))
            order = Random(mixed(mixed(self.seed, round_), place)).sample(hole.labels, len(hole.labels))
            turns[path] = order[nth]
        return turns

    def _forced(self, taken: dict[str, Label], rng: Random) -> Arch:
        """A network with these alternatives: within the budget if some draw is, else any; a uniform one if none is."""
        space = self.feasible.space
        drawn = (space.build(lambda path, hole: taken.get(path) or weighted(hole, rng)) for _ in range(TRIES))
        valid = [arch for arch in drawn if space.valid(arch)]
        fitting = (arch for arch in valid if self.feasible.fits(arch))
        return next(fitting, valid[0] if valid else self.feasible.draw(rng)[0])
