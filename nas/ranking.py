"""How alike two scores rank the same things: rank correlations, and how sure they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Statistic = Callable[[Sequence[float], Sequence[float]], float]


def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """Spearman's ρ: the correlation of ranks, equal values sharing theirs; NaN where one side is constant."""
    from scipy.stats import rankdata

    if _constant(a, b):
        return math.nan
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])


def kendall(a: Sequence[float], b: Sequence[float]) -> float:
    """Kendall's τ-b: pairs in like order less pairs in unlike order, ties taken out; NaN where one side is constant."""
    if _constant(a, b):
        return math.nan
    left, right = _orders(a), _orders(b)
    agree, ordered = (left * right).sum(dtype=int), [np.count_nonzero(side) for side in (left, right)]
    return float(agree / math.sqrt(math.prod(ordered)))


def _orders(values: Sequence[float]) -> NDArray[np.int8]:
    """−1, 0 or 1 for every pair: which of the two is larger."""
    ranks = np.unique(np.asarray(values, dtype=float), return_inverse=True)[1]  # infinities have no difference
    above = (ranks[:, None] > ranks[None, :]).view(np.int8)
    return above - above.T


def interval(
    statistic: Statistic, a: Sequence[float], b: Sequence[float], seed: int = 0, resamples: int = 2000
) -> tuple[float, float]:
    """The 95 % percentile interval of a statistic when the pairs are drawn again with replacement (Efron 1979).

    Resamples in which the statistic is undefined are left out; NaN, NaN where it is in all of them.
    """
    rng = np.random.default_rng(seed)
    left, right = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    drawn = (rng.integers(len(left), size=len(left)) for _ in range(resamples))
    values = np.array([statistic(left[i].tolist(), right[i].tolist()) for i in drawn])
    values = values[~np.isnan(values)]
    if not len(values):
        return math.nan, math.nan
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def _constant(a: Sequence[float], b: Sequence[float]) -> bool:
    """Whether one side has no order; raise `ValueError` where the two are no pairs or hold a NaN."""
    if len(a) != len(b):
        raise ValueError(f"scores to compare must be pairs, but got {len(a)} and {len(b)}")
    if any(map(math.isnan, (*a, *b))):
        raise ValueError("scores to rank must be numbers, but one is NaN")
    return len(set(a)) < 2 or len(set(b)) < 2
