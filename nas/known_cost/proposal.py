"""What to look at next: a pool of candidates by what each promises."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from random import Random
from typing import Generic

import numpy as np
from threadpoolctl import ThreadpoolController

from nas.known_cost.belief import DEFAULTS, Belief, Hint, Known, Options, milestone
from nas.known_cost.domain import Domain, T
from nas.known_cost.encoder import Array
from nas.known_cost.improvement import expected_hypervolume_improvement, expected_improvement

BLAS = ThreadpoolController()  # its threads wait for one another over matrices this small, the longer the busier it is
CLIMBERS, NEAR, PARENTS = 4, 128, 24  # best candidates whose neighbours join the pool, how many of those; parents


def propose(
    domain: Domain[T], known: Known[T], seed: int, options: Options = DEFAULTS, hints: Sequence[Hint[T]] = ()
) -> list[T]:
    """Candidates that were never seen, the most promising first; empty when none was met."""
    rng = Random(seed)
    drawn = _unseen((domain.draw(rng) for _ in range(options.draws)), known.taken)
    if not known.enough(options):
        return _spread(domain, drawn, len(known.taken)) if options.spread_start else drawn
    with BLAS.limit(limits=1, user_api="blas"):
        return _Search(_belief(domain, known, options, hints), drawn, rng).ranked(known.taken)


def reconsidered(
    domain: Domain[T],
    known: Known[T],
    candidates: Sequence[T],
    hints: Sequence[Hint[T]],
    usual: Sequence[T],
    seed: int,
    options: Options = DEFAULTS,
) -> list[T]:
    """Candidates, the most promising first, by hints too dear for a whole pool; empty before the model has a say.

    The hints are asked for what is known and for the candidates alone, and for `usual`, uniform draws that stand
    for what is worth no look.
    """
    if not known.enough(options):
        return []
    with BLAS.limit(limits=1, user_api="blas"):
        return _Search(_belief(domain, known, options, hints), list(usual), Random(seed)).sorted(candidates)


def _belief(domain: Domain[T], known: Known[T], options: Options, hints: Sequence[Hint[T]]) -> Belief[T]:
    """The model of this proposal: four take turns and learn from each other's evaluations.

    With sums of choices and without, by the likeliest length scales and by plausible ones: few accuracies say little
    of those, and a model that is sure of the wrong ones never looks where it errs.
    """
    turn = len(known.taken)
    draw = milestone(turn) if options.drawn_scales and turn % 4 >= 2 else 0
    bare = options.in_turns and turn % 2
    return Belief(domain, known, replace(options, kind_features=False) if bare else options, hints, draw)


def memory(domain: Domain[T], done: Sequence[tuple[T, float]], options: Options = DEFAULTS) -> Hint[T]:
    """What an earlier search made of any candidate, as a hint for a later one: the mean of its model."""
    with BLAS.limit(limits=1, user_api="blas"):
        belief = Belief(domain, Known(done), options)
    return lambda items: belief(items)[0]


def _unseen(candidates: Iterable[T], taken: Iterable[T]) -> list[T]:
    """In order, each once."""
    seen = set(taken)
    return [one for one in dict.fromkeys(candidates) if one not in seen]


def _spread(domain: Domain[T], drawn: list[T], number: int) -> list[T]:
    """By distance from the part of the log cost's range that a sequence of low discrepancy names next."""
    place, scale, n = 0.0, 0.5, number + 1
    while n:
        place, scale, n = place + scale * (n % 2), scale / 2, n // 2
    costs = [float(np.log(domain.cost(one))) for one in drawn]
    wanted = min(costs, default=0.0) + place * (max(costs, default=0.0) - min(costs, default=0.0))
    return [one for _, one in sorted(zip(costs, drawn, strict=True), key=lambda pair: abs(pair[0] - wanted))]


class _Search(Generic[T]):
    """One proposal: a belief, uniform draws, and a pool that grows where it promises most."""

    def __init__(self, belief: Belief[T], drawn: list[T], rng: Random) -> None:
        self.belief, self.drawn, self.rng = belief, drawn, rng
        self.domain, self.options = belief.domain, belief.options

    def ranked(self, taken: set[T]) -> list[T]:
        """The pool by what each candidate promises."""
        pool = _unseen([*self.drawn, *self._children()], taken)
        if not pool:
            return []
        mean, deviation, cost = self.belief(pool)
        level = float(np.median(mean[: len(self.drawn)])) if self.drawn else float(mean.min())  # draws come first
        share = self.rng.random()
        worth = self._worth(mean, deviation, cost, level, share)
        for _ in range(self.options.climbs):
            best = [pool[i] for i in np.argsort(-worth, kind="stable")[:CLIMBERS]]
            near = _unseen((n for one in best for n in self.domain.neighbours(one)), taken | set(pool))
            near = self.rng.sample(near, min(len(near), NEAR))
            if near:
                pool += near
                worth = np.concatenate([worth, self._worth(*self.belief(near), level, share)])
        return [pool[i] for i in np.argsort(-worth, kind="stable")]

    def sorted(self, candidates: Sequence[T]) -> list[T]:
        """Candidates by what each promises."""
        level = float(np.median(self.belief(self.drawn)[0]))
        worth = self._worth(*self.belief(candidates), level, self.rng.random())
        return [candidates[i] for i in np.argsort(-worth, kind="stable")]

    def _children(self) -> list[T]:
        if not self.options.front_children:
            return [self.domain.draw(self.rng) for _ in range(self.options.children)]
        parents = self.belief.outer(PARENTS)
        found = (
            self.domain.child(self.rng.choice(parents), self.rng.choice(parents), self.rng)
            for _ in range(self.options.children)
        )
        return [one for one in found if one is not None]

    def _worth(self, mean: Array, deviation: Array, cost: Array, level: float, share: float) -> Array:
        """By candidate; `level`: the accuracy that counts as none, `share`: of a scalarisation's weight on cost."""
        points, dearest = self.belief.points, self.belief.dearest
        if self.options.hypervolume:
            return expected_hypervolume_improvement(mean, deviation, cost, points, (level, dearest))
        slope = 2 * share / (1.001 - share) / max(1e-9, dearest - min(at for _, at in points))
        best = max(accuracy - slope * at for accuracy, at in points)
        return expected_improvement(mean - slope * cost, deviation, best)
