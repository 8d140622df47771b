"""What is believed of any candidate, given the accuracies that are known: the model of them, and what it reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic

import numpy as np

from nas.known_cost.domain import Domain, T
from nas.known_cost.encoder import Array, Encoder
from nas.known_cost.process import Process, fit
from nas.pareto import front

Hint = Callable[[Sequence[T]], Array]
"""A further number of each candidate, of about unit variance: an array (candidates,). What it is worth is learned."""


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
    in_turns: bool = True  # every other proposal goes without sums of choices, which mislead on some spaces
    drawn_scales: bool = True  # and every other pair of them by length scales that are plausible, not the likeliest
    front_children: bool = True
    hypervolume: bool = True  # else expected improvement of a random scalarisation
    noise: bool = True
    spread_start: bool = True
    squash: bool = True


DEFAULTS = Options()


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
        """Whether a model of it has a say."""
        return len(self.done) >= min(options.startup, 3) and len(self.taken) >= options.startup


class Belief(Generic[T]):
    """The model of what is known; accuracies are squashed and standardised in it.

    draw: of its length scales, as in `process.fit`. items: the candidates behind it. points: (accuracy, log cost) of
    each, by the model's opinion, which of a noisy accuracy is the better one.
    """

    def __init__(
        self, domain: Domain[T], known: Known[T], options: Options, hints: Sequence[Hint[T]] = (), draw: int = 0
    ) -> None:
        self.domain, self.options, self.hints = domain, options, hints
        self.encoder = Encoder(tuple(domain.parameters), options.kind_features)
        self.dearest = float(np.log(domain.dearest))
        fitted, targets = self._kept(known.done[: milestone(len(known.done))], options.fitted_on)
        theta = fit(self._groups(fitted), targets, options.noise, draw)
        self.items, targets = self._kept(known.done, options.remembered)
        self.model = Process(theta, self._groups(self.items), targets)
        if known.running:
            believed = self.model(self._groups(known.running))[0]
            self.items = [*self.items, *known.running]
            self.model = Process(theta, self._groups(self.items), np.concatenate([targets, believed]))
        means = self.model(self.model.groups)[0]
        self.points = list(zip(means.tolist(), map(self.cost, self.items), strict=True))

    def __call__(self, items: Sequence[T]) -> tuple[Array, Array, Array]:
        """Mean and standard deviation of each one's accuracy, and its log cost."""
        mean, deviation = self.model(self._groups(items))
        return mean, deviation, np.array([self.cost(one) for one in items])

    def cost(self, one: T) -> float:
        """Its logarithm."""
        return float(np.log(self.domain.cost(one)))

    def outer(self, most: int) -> list[T]:
        """The front, the front of the rest, and so on, up to `most`."""
        return [self.items[i] for i in _outer(self.points, most)]

    def _kept(self, done: Sequence[tuple[T, float]], most: int) -> tuple[list[T], Array]:
        """Candidates and their standardised accuracies: all, or the outer layers of the front and some of the rest."""
        accuracies = np.array([accuracy for _, accuracy in done])
        if self.options.squash:
            accuracies = squashed(accuracies)
        targets = (accuracies - accuracies.mean()) / (accuracies.std() or 1.0)
        chosen = list(range(len(done)))
        if len(done) > most:
            outer = _outer(list(zip(targets.tolist(), (self.cost(one) for one, _ in done), strict=True)), most // 2)
            rest = sorted(set(chosen) - set(outer))
            evenly = np.linspace(0, len(rest) - 1, most - len(outer)).astype(int)
            chosen = sorted([*outer, *(rest[i] for i in evenly)])
        return [done[i][0] for i in chosen], targets[chosen]

    def _groups(self, items: Sequence[T]) -> list[Array]:
        groups = self.encoder([self.domain.params(one) for one in items])
        if self.options.cost_feature:
            groups.append(np.array([[self.cost(one) - self.dearest] for one in items]))
        return [*groups, *(hint(items)[:, None] for hint in self.hints)]


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
