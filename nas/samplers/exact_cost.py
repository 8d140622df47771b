"""Search by two objectives of which one is known: accuracy is learned, cost is read.

A Gaussian process models accuracy alone; cost is exact and free, so it is no second model but an input of
the first and an axis of the acquisition. Nothing here knows Optuna or networks: a `Domain` says what
candidates there are, `propose` says which of them to look at next. It is a pure function of what is known
and a seed.

- Expected hypervolume improvement: Emmerich, Giannakoglou, Naujoks 2006, "Single- and multiobjective
  evolutionary optimization assisted by Gaussian random field metamodels". With one objective known the
  two-dimensional integral falls apart into one-dimensional expected improvements (Jones 1998), one a step
  of the front, so it is exact in closed form.
- Priors of the length scales that grow with the number of parameters: Hvarfner, Hellsten, Nardi 2024,
  "Vanilla Bayesian optimization performs great in high dimensions".
- Words as dimensions of their own length scale, holes that are closed as a place of their own: after
  Hutter and Osborne 2013, "A kernel for hierarchical parameter spaces".
- Running trials stand in with the mean that the model has of them: Ginsbourger 2010, "Kriging believer".
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize
from scipy.special import ndtr

from nas.pareto import front

Array = NDArray[np.float64]
Label = str | int | float | bool
CLIMBERS, NEAR, PARENTS = 4, 128, 24  # best candidates whose neighbours join the pool, how many of those; parents
T = TypeVar("T", bound=Hashable)

# ------------------------------------------------------------------------------------------ what it is asked of


@dataclass(frozen=True)
class Parameter:
    """A choice: its options, and the `kind` that it shares with choices of like meaning."""

    name: str
    options: tuple[Label, ...]
    kind: str = ""

    @property
    def ordered(self) -> bool:
        """Whether the options are numbers, so that one lies nearer than another."""
        return all(isinstance(o, (int, float)) and not isinstance(o, bool) for o in self.options)


class Domain(Protocol[T]):
    """The candidates there are: all that comes out of it is valid and within the budget."""

    @property
    def parameters(self) -> Sequence[Parameter]:
        """Every choice, also those that only some candidates have."""

    @property
    def dearest(self) -> float:
        """The largest cost that is allowed."""

    def draw(self, rng: Random) -> T:
        """A uniform draw."""

    def child(self, one: T, other: T, rng: Random) -> T | None:
        """A mutant of `one`, or of both where they differ; None when none was met."""

    def neighbours(self, one: T) -> Iterable[T]:
        """Candidates that differ in one choice."""

    def params(self, one: T) -> Mapping[str, Label]:
        """The choices of a candidate; those that it does not have are missing."""

    def cost(self, one: T) -> float:
        """What it costs, above 0."""


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


# ---------------------------------------------------------------------------------------------------- features


@dataclass(frozen=True)
class Encoder:
    """Candidates as vectors in groups of columns; a group has one length scale.

    A number is its rank among the options on [0, 1], and 0.5 where its hole is closed; a word is a column
    an option, so that two words are at distance 1 and a closed hole at 1/√2 of every word. Choices of one
    kind are also summed up, into one group: the sum of numbers, the counts of words.
    """

    parameters: tuple[Parameter, ...]
    kinds: bool = True

    def __call__(self, rows: Sequence[Mapping[str, Label]]) -> list[Array]:
        """One matrix (candidates, columns) a group."""
        groups = [self._group(p, [row.get(p.name) for row in rows]) for p in self.parameters]
        by_kind: dict[str, list[int]] = {}
        for i, p in enumerate(self.parameters):
            by_kind.setdefault(p.kind, []).append(i)
        for kind, members in by_kind.items():
            alike = len({groups[i].shape[1] for i in members}) == 1
            if self.kinds and kind and len(members) > 1 and alike:
                groups.append(np.sum([groups[i] for i in members], axis=0) / np.sqrt(len(members)))
        return groups

    def _group(self, parameter: Parameter, labels: Sequence[Label | None]) -> Array:
        options = sorted(parameter.options) if parameter.ordered else parameter.options
        place = {label: i for i, label in enumerate(options)}
        if parameter.ordered:
            last = max(1, len(place) - 1)
            return np.array([[0.5 if label is None else place[label] / last] for label in labels]).reshape(-1, 1)
        group = np.zeros((len(labels), len(place)))
        for i, label in enumerate(labels):
            if label is not None:
                group[i, place[label]] = np.sqrt(0.5)
        return group


# ------------------------------------------------------------------------------------------- the model of accuracy

JITTER = 1e-6
TAIL = 3  # of `theta`: variances of the joint part, of the additive part, of the noise


def matern(squared: Array) -> tuple[Array, Array]:
    """Matérn 5/2 of a squared distance, and its derivative by it."""
    root = np.sqrt(5 * squared)
    decay = np.exp(-root)
    return (1 + root + root * root / 3) * decay, -5 / 6 * (1 + root) * decay


def cauchy(squared: Array) -> tuple[Array, Array]:
    """The rational quadratic kernel with α = 1 of a squared distance, and its derivative by it."""
    shape = 1 / (1 + 0.5 * squared)
    return shape, -0.5 * shape * shape


def squared_distances(one: Array, other: Array) -> Array:
    """Squared distances of rows, (rows of `one`, rows of `other`)."""
    if one.shape[1] == 1:
        apart = one - other.T
        apart *= apart
        return np.asarray(apart)
    squared = (one * one).sum(1)[:, None] + (other * other).sum(1)[None] - 2 * one @ other.T
    return np.asarray(np.maximum(squared, 0, out=squared))


@dataclass
class Process:
    """A Gaussian process with a constant mean: a Matérn kernel over all groups, and a sum of one-group parts.

    `theta` holds logarithms: a weight (1 / length scale²) a group, then the variances of the joint part, of
    the additive part, and of the noise.
    """

    theta: Array
    groups: list[Array]
    targets: Array
    mean: float = field(init=False)
    _lower: Array = field(init=False, repr=False)
    _solved: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        gram = self.kernel(self.groups, self.groups)
        gram[np.diag_indices_from(gram)] += np.exp(self.theta[-1]) + JITTER
        self._lower = cholesky(gram, lower=True)
        ones = cho_solve((self._lower, True), np.ones(len(self.targets)))
        self.mean = float(ones @ self.targets / ones.sum())
        self._solved = cho_solve((self._lower, True), self.targets - self.mean)

    def kernel(self, one: Sequence[Array], other: Sequence[Array]) -> Array:
        """Prior covariance of accuracies, noise left out."""
        weights, (joint, added, _) = np.exp(self.theta[:-TAIL]), np.exp(self.theta[-TAIL:])
        total = np.zeros((len(one[0]), len(other[0])))
        parts = np.zeros_like(total)
        for weight, a, b in zip(weights, one, other, strict=True):
            scaled = squared_distances(a, b)
            scaled *= weight
            total += scaled
            scaled *= 0.5  # from here on in place, as most of a proposal's time is spent here: `cauchy`
            scaled += 1
            parts += np.reciprocal(scaled, out=scaled)
        return np.asarray(joint * matern(total)[0] + added / len(weights) * parts)

    def __call__(self, groups: Sequence[Array]) -> tuple[Array, Array]:
        """Mean and standard deviation of the true accuracy, noise left out."""
        across = self.kernel(groups, self.groups)
        half = solve_triangular(self._lower, across.T, lower=True, check_finite=False)
        prior = np.exp(self.theta[-TAIL:-1]).sum()
        return self.mean + across @ self._solved, np.sqrt(np.maximum(prior - (half * half).sum(0), 1e-12))


def fit(groups: Sequence[Array], targets: Array, noisy: bool = True) -> Array:
    """The `theta` that is most plausible given the targets (mean 0, variance 1) and priors."""
    joined = np.ascontiguousarray(np.hstack(groups))
    return _fitted(tuple(g.shape[1] for g in groups), joined.tobytes(), targets.tobytes(), noisy)


@lru_cache(maxsize=64)
def _fitted(columns: tuple[int, ...], joined: bytes, raw: bytes, noisy: bool) -> Array:
    """As `fit`; remembered, since the trials between two fits ask for the same."""
    targets = np.frombuffer(raw)
    size, n = len(columns), len(targets)
    groups = np.split(np.frombuffer(joined).reshape(n, -1), np.cumsum(columns)[:-1], axis=1)
    pairs = np.tril_indices(n, -1)
    flat = np.stack([squared_distances(g, g)[pairs] for g in groups])
    usual = np.array([-np.log(2 * size)] * size + [np.log(0.7), np.log(0.3), -4.0 if noisy else -9.0])
    width = np.array([1.5] * size + [1.0, 1.0, 1.5 if noisy else 0.01])
    gram = np.empty((n, n))

    def loss(theta: Array) -> tuple[float, Array]:
        """Negative log posterior and its slope, from the pairs of points below the diagonal."""
        weights, (joint, added, noise) = np.exp(theta[:-TAIL]), np.exp(theta[-TAIL:])
        shape, slope = matern(weights @ flat)
        parts, falls = cauchy(weights[:, None] * flat)
        together = parts.sum(0) / size
        gram[pairs] = joint * shape + added * together
        gram[np.diag_indices(n)] = joint + added + noise + JITTER
        lower = cholesky(gram, lower=True, check_finite=False)
        inverse = dpotri(lower, lower=1)[0]
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        ones = inverse.sum(0)
        centred = targets - (ones @ targets) / ones.sum()
        solved = inverse @ centred
        off = (theta - usual) / width
        value = 0.5 * centred @ solved + np.log(np.diag(lower)).sum() + 0.5 * off @ off
        pull = (inverse - np.outer(solved, solved))[pairs]  # twice a half: each pair stands for two entries
        falls *= flat
        slopes = weights * (joint * (flat @ (pull * slope)) + added / size * (falls @ pull))
        own = 0.5 * (np.trace(inverse) - solved @ solved)  # the diagonal's
        tail = [joint * (pull @ shape + own), added * (pull @ together + own), noise * own]
        return float(value), np.concatenate([slopes, tail]) + off / width

    bounds = [(-12.0, 6.0)] * size + [(-6.0, 4.0), (-6.0, 4.0), (-10.0, 1.0)]
    return np.asarray(minimize(loss, usual, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 40}).x)


# --------------------------------------------------------------------------------------------- the acquisition


def expected_improvement(mean: Array, deviation: Array, level: Array | float) -> Array:
    """E[max(0, x − level)] of normal x."""
    z = (mean - level) / deviation
    return np.asarray(np.maximum(deviation * (z * ndtr(z) + np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)), 0))


def expected_hypervolume_improvement(
    mean: Array, deviation: Array, cost: Array, points: Sequence[tuple[float, float]], reference: tuple[float, float]
) -> Array:
    """Expected gain in area when candidates of exact `cost` have normal accuracies.

    `points` holds (accuracy, cost) pairs, `reference` the lowest accuracy and the highest cost. The front is a
    staircase over cost; a candidate gains on every step from its own cost rightwards, and what it gains there
    is the step's width times the expected improvement over the step's height.
    """
    worst, dearest = reference
    heights, lefts = [worst], [-np.inf]
    for accuracy, at in sorted(points, key=lambda pair: (pair[1], -pair[0])):
        if accuracy > heights[-1] and at < dearest:
            heights.append(accuracy)
            lefts.append(at)
    rights = np.array([*lefts[1:], dearest])
    widths = np.maximum(0, rights - np.maximum(cost[:, None], np.array(lefts)))
    gains = expected_improvement(mean[:, None], deviation[:, None], np.array(heights))
    return np.asarray((widths * gains).sum(1))


# ------------------------------------------------------------------------------------------------- the proposal


@dataclass(frozen=True)
class Known(Generic[T]):
    """What a search knows: accuracies in the order they came, what is running, and what failed."""

    done: Sequence[tuple[T, float]] = ()
    running: Sequence[T] = ()
    failed: Sequence[T] = ()


def propose(domain: Domain[T], known: Known[T], seed: int, options: Options = Options()) -> list[T]:
    """Candidates that were never seen, the most promising first; empty when none was met."""
    rng = Random(seed)
    taken = {*(one for one, _ in known.done), *known.running, *known.failed}
    drawn = _unseen((domain.draw(rng) for _ in range(options.draws)), taken)
    if len(known.done) < min(options.startup, 3) or len(taken) < options.startup:
        return _spread(domain, drawn, len(taken)) if options.spread_start else drawn
    return _Search(domain, known, options, drawn, rng).ranked(taken)


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

    def __init__(self, domain: Domain[T], known: Known[T], options: Options, drawn: list[T], rng: Random) -> None:
        self.domain, self.options, self.drawn, self.rng = domain, options, drawn, rng
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
