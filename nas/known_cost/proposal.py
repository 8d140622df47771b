"""What to look at next: a pool of candidates by what each promises."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Generic

import numpy as np
from threadpoolctl import ThreadpoolController

from nas.known_cost.domain import Domain, T
from nas.known_cost.encoder import Array, Encoder
from nas.known_cost.improvement import expected_hypervolume_improvement, expected_improvement
from nas.known_cost.process import Process, fit
from nas.pareto import front

BLAS = ThreadpoolController()  # its threads wait for one another over matrices this small, the longer the busier it is
CLIMBERS, NEAR, PARENTS = 4, 128, 24  # best candidates whose neighbours join the pool, how many of those; parents


@dataclass(frozen=True)
class Options:
    """How to search. Each `bool` is an idea that can be switched off to see what it is worth."""

    startup: int = 10  # evaluations before the model has a say
    draws: int = 512  # uniform candidates in the pool
    children: int = 384  # mutants and crossovers of the front in the pool
    climbs: int = 2  # rounds in which the best candidates' neighbours join the pool
    fitted_on: int = 160  # points behind the model's length scales, at most
    remembered: int = 320  # points behind the model, at most
    cost_feature: bool = True
    kind_features: bool = True
    front_children: bool = True
    hypervolume: bool = True  # else expected improvement of a random scalarisation
    noise: bool = True
    spread_start: bool = True
    squash: bool = True


@dataclass(frozen=True)
class Known(Generic[T]):
    """What a search knows: accuracies in the order they came, what is running, and what failed."""

    done: Sequence[tuple[T, float]] = ()
    running: Sequence[T] = ()
    failed: Sequence[T] = ()

    @cached_property
    def taken(self) -> set[T]:
        """All of them."""
        return {*(one for one, _ in self.done), *self.running, *self.failed}

    def enough(self, options: Options) -> bool:
        """Whether the model has a say."""
        return len(self.done) >= min(options.startup, 3) and len(self.taken) >= options.startup


def propose(domain: Domain[T], known: Known[T], seed: int, options: Options = Options()) -> list[T]:
    """Candidates that were never seen, the most promising first; empty when none was met."""
    rng = Random(seed)
    drawn = _unseen((domain.draw(rng) for _ in range(options.draws)), known.taken)
    if not known.enough(options):
        return _spread(domain, drawn, len(known.taken)) if options.spread_start else drawn
    with BLAS.limit(limits=1, user_api="blas"):
        return _Search(domain, known, options, drawn, rng).ranked(known.taken)


def reconsidered(
    domain: Domain[T],
    known: Known[T],
    candidates: Sequence[T],
    hint: Callable[[T], float],
    usual: Sequence[T],
    seed: int,
    options: Options = Options(),
) -> list[T]:
    """Candidates, the most promising first, once the model reads one more number of each; empty before it has a say.

    `hint` may take its time: it is asked for what is known and for the candidates alone, and for `usual`, uniform
    draws that stand for what is worth no look. It is of about unit variance, and what it is worth is learned.
    """
    if not known.enough(options):
        return []
    with BLAS.limit(limits=1, user_api="blas"):
        return _Search(domain, known, options, list(usual), Random(seed), hint).sorted(candidates)


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
    """One proposal: the model of what is known, and a pool that grows where it promises most."""

    def __init__(
        self,
        domain: Domain[T],
        known: Known[T],
        options: Options,
        drawn: list[T],
        rng: Random,
        hint: Callable[[T], float] | None = None,
    ) -> None:
        self.domain, self.options, self.drawn, self.rng, self.hint = domain, options, drawn, rng, hint
        self.encoder = Encoder(tuple(domain.parameters), options.kind_features)
        self.dearest = float(np.log(domain.dearest))
        fitted, targets = self._kept(known.done[: milestone(len(known.done))], options.fitted_on)
        theta = fit(self._groups(fitted), targets, options.noise)
        self.items, targets = self._kept(known.done, options.remembered)
        self.model = Process(theta, self._groups(self.items), targets)
        if known.running:
            believed = self.model(self._groups(known.running))[0]
            self.items = [*self.items, *known.running]
            self.model = Process(theta, self._groups(self.items), np.concatenate([targets, believed]))
        means = self.model(self.model.groups)[0]  # of a noisy accuracy the model's opinion is the better one
        self.points = list(zip(means.tolist(), map(self._cost, self.items), strict=True))

    def ranked(self, taken: set[T]) -> list[T]:
        """The pool by what each candidate promises."""
        pool = _unseen([*self.drawn, *self._children()], taken)
        if not pool:
            return []
        mean, deviation, cost = self._looked_at(pool)
        level = float(np.median(mean[: len(self.drawn)])) if self.drawn else float(mean.min())  # draws come first
        reference, share = (level, self.dearest), self.rng.random()
        worth = self._worth(mean, deviation, cost, reference, share)
        for _ in range(self.options.climbs):
            best = [pool[i] for i in np.argsort(-worth, kind="stable")[:CLIMBERS]]
            near = _unseen((n for one in best for n in self.domain.neighbours(one)), taken | set(pool))
            near = self.rng.sample(near, min(len(near), NEAR))
            if near:
                pool += near
                worth = np.concatenate([worth, self._worth(*self._looked_at(near), reference, share)])
        return [pool[i] for i in np.argsort(-worth, kind="stable")]

    def sorted(self, candidates: Sequence[T]) -> list[T]:
        """Candidates by what each promises."""
        reference = float(np.median(self._looked_at(self.drawn)[0])), self.dearest
        worth = self._worth(*self._looked_at(candidates), reference, self.rng.random())
        return [candidates[i] for i in np.argsort(-worth, kind="stable")]

    def _kept(self, done: Sequence[tuple[T, float]], most: int) -> tuple[list[T], Array]:
        """Candidates and their standardised accuracies: all, or the outer layers of the front and some of the rest."""
        accuracies = np.array([accuracy for _, accuracy in done])
        if self.options.squash:
            accuracies = squashed(accuracies)
        targets = (accuracies - accuracies.mean()) / (accuracies.std() or 1.0)
        chosen = list(range(len(done)))
        if len(done) > most:
            outer = _outer(list(zip(targets.tolist(), (self._cost(one) for one, _ in done), strict=True)), most // 2)
            rest = sorted(set(chosen) - set(outer))
            evenly = np.linspace(0, len(rest) - 1, most - len(outer)).astype(int)
            chosen = sorted([*outer, *(rest[i] for i in evenly)])
        return [done[i][0] for i in chosen], targets[chosen]

    def _children(self) -> list[T]:
        if not self.options.front_children:
            return [self.domain.draw(self.rng) for _ in range(self.options.children)]
        parents = [self.items[i] for i in _outer(self.points, PARENTS)]
        found = (
            self.domain.child(self.rng.choice(parents), self.rng.choice(parents), self.rng)
            for _ in range(self.options.children)
        )
        return [one for one in found if one is not None]

    def _looked_at(self, items: Sequence[T]) -> tuple[Array, Array, Array]:
        """Mean and standard deviation of each one's accuracy, and its log cost."""
        mean, deviation = self.model(self._groups(items))
        return mean, deviation, np.array([self._cost(one) for one in items])

    def _worth(self, mean: Array, deviation: Array, cost: Array, reference: tuple[float, float], share: float) -> Array:
        if self.options.hypervolume:
            return expected_hypervolume_improvement(mean, deviation, cost, self.points, reference)
        slope = 2 * share / (1.001 - share) / max(1e-9, self.dearest - min(at for _, at in self.points))
        best = max(accuracy - slope * at for accuracy, at in self.points)
        return expected_improvement(mean - slope * cost, deviation, best)

    def _cost(self, one: T) -> float:
        return float(np.log(self.domain.cost(one)))

    def _groups(self, items: Sequence[T]) -> list[Array]:
        groups = self.encoder([self.domain.params(one) for one in items])
        if self.options.cost_feature:
            groups.append(np.array([[self._cost(one) - self.dearest] for one in items]))
        if self.hint:
            groups.append(np.array([[self.hint(one)] for one in items]))
        return groups


def milestone(n: int) -> int:
    """The last of the numbers of evaluations at which length scales are fitted anew: ever rarer, by about 5 %."""
    step = 1 << max(0, n.bit_length() - 5)
    return n - n % step


def squashed(accuracies: Array) -> Array:
    """Accuracies with the distance below their median taken by logarithm.

    Some networks are hopeless: how much so is not worth a model's while.
    """
    centre = float(np.median(accuracies))
    unit = max(float(accuracies.max()) - centre, 1e-12)
    below = np.maximum(centre - accuracies, 0)
    return np.asarray(np.maximum(accuracies, centre) - unit * np.log1p(below / unit))


def _outer(points: list[tuple[float, float]], most: int) -> list[int]:
    """Indices of the front, the front of the rest, and so on, up to `most`."""
    left, found = list(range(len(points))), list[int]()
    while left and len(found) < most:
        layer = {left[i] for i in front([points[i] for i in left])}
        found += sorted(layer)
        left = [i for i in left if i not in layer]
    return found[:most]
