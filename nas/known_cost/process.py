"""The model of accuracy: a Gaussian process over groups of columns, and its fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize

from nas.known_cost.encoder import Array

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


def fit(groups: Sequence[Array], targets: Array, noisy: bool = True, draw: int = 0) -> Array:
    """The `theta` that is most plausible given the targets (mean 0, variance 1) and priors.

    draw: 0, or the number of one that is plausible, too: the priors' centre is drawn from the priors first, so that
    what the targets say little of comes out anew in every draw ("randomise, then optimise", Bardsley et al. 2014,
    with the targets left as they are).
    """
    joined = np.ascontiguousarray(np.hstack(groups))
    return _fitted(tuple(g.shape[1] for g in groups), joined.tobytes(), targets.tobytes(), noisy, draw)


@lru_cache(maxsize=64)
def _fitted(columns: tuple[int, ...], joined: bytes, raw: bytes, noisy: bool, draw: int) -> Array:
    """As `fit`; remembered, since the trials between two fits ask for the same."""
    targets = np.frombuffer(raw)
    size, n = len(columns), len(targets)
    groups = np.split(np.frombuffer(joined).reshape(n, -1), np.cumsum(columns)[:-1], axis=1)
    pairs = np.tril_indices(n, -1)
    flat = np.stack([squared_distances(g, g)[pairs] for g in groups])
    usual = np.array([-np.log(2 * size)] * size + [np.log(0.7), np.log(0.3), -4.0 if noisy else -9.0])
    width = np.array([1.5] * size + [1.0, 1.0, 1.5 if noisy else 0.01])
    bounds = np.array([(-12.0, 6.0)] * size + [(-6.0, 4.0), (-6.0, 4.0), (-10.0, 1.0)])
    if draw:
        usual[:-1] += (width * np.random.default_rng(draw).standard_normal(len(width)))[:-1]
        usual = np.clip(usual, *bounds.T)
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

    return np.asarray(minimize(loss, usual, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 40}).x)
