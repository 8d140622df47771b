"""Fronts of many trials, quickly: numpy leaves few points, and one pass over those is the hypervolume's history.

`nas.pareto` says what a front and a hypervolume are; the tests hold these to it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from nas.pareto import Pair

Values = Sequence[float] | NDArray[np.float64]
SAMPLE = 1_000


def front(accuracies: Values, costs: Values) -> list[int]:
    """Indices of the points that no other beats, by ascending cost; of equal points the first."""
    accuracy, cost = np.asarray(accuracies, dtype=float), np.asarray(costs, dtype=float)
    left = np.arange(len(cost))
    if len(cost) > 2 * SAMPLE:  # the front of a few points covers most others: only what is left needs sorting
        some = slice(None, None, len(cost) // SAMPLE)
        best = _sorted_front(accuracy[some], cost[some])
        left = np.flatnonzero(_covered(accuracy[some][best], cost[some][best], cost) <= accuracy)
    found: list[int] = left[_sorted_front(accuracy[left], cost[left])].tolist()
    return found


def _sorted_front(accuracy: NDArray[np.float64], cost: NDArray[np.float64]) -> NDArray[np.intp]:
    """As `front`."""
    order = np.argsort(cost, kind="stable")
    if not len(order):
        return order
    best = np.maximum.accumulate(accuracy[order])
    rises = order[np.concatenate(([True], best[1:] > best[:-1]))]
    last_of_cost = np.concatenate((cost[rises][1:] != cost[rises][:-1], [True]))
    found: NDArray[np.intp] = rises[last_of_cost]
    return found


def _covered(heights: Values, rights: Values, costs: NDArray[np.float64]) -> NDArray[np.float64]:
    """The best accuracy that a front (by ascending cost) has at no more than each of these costs, or -inf."""
    reached: NDArray[np.float64] = np.concatenate(([-np.inf], heights))[np.searchsorted(rights, costs, side="right")]
    return reached


def history(accuracies: Values, costs: Values, reference: Pair) -> list[tuple[int, float]]:
    """(how many points were in, hypervolume) each time it grew, within the reference of `nas.pareto.hypervolume`."""
    worst, dearest = reference
    above = np.maximum(np.asarray(accuracies, dtype=float) - worst, 0.0)
    rights: list[float] = []  # costs of the front so far, ascending, and their accuracies
    heights: list[float] = []
    area, grown = 0.0, []
    for i, accuracy, cost in _risen(above, costs, dearest, rights, heights):
        place = bisect_right(rights, cost)
        if place and heights[place - 1] >= accuracy:
            continue
        first, last = bisect_left(rights, cost), bisect_right(heights, accuracy)
        area += _gain(rights, heights, first, max(first, last), accuracy, cost, dearest)
        rights[first : max(first, last)] = [cost]
        heights[first : max(first, last)] = [accuracy]
        grown.append((i + 1, area))
    return grown


def _risen(
    accuracies: Values, costs: Values, dearest: float, rights: list[float], heights: list[float]
) -> Iterator[tuple[int, float, float]]:
    """(index, accuracy, cost) of the points that the front, as it stood when their block began, does not cover.

    Blocks double in length.
    """
    accuracy, cost = np.asarray(accuracies, dtype=float), np.asarray(costs, dtype=float)
    start, length = 0, 256
    while start < len(cost):
        at = slice(start, start + length)
        risen = (cost[at] < dearest) & (_covered(heights, rights, cost[at]) < accuracy[at])
        there = start + np.flatnonzero(risen)
        yield from zip(there.tolist(), accuracy[there].tolist(), cost[there].tolist(), strict=True)
        start, length = start + length, 2 * length


def _gain(
    costs: list[float], heights: list[float], first: int, last: int, accuracy: float, cost: float, dearest: float
) -> float:
    """What a new point adds: its own rectangle up to the next better one, less what was covered of it."""
    edges = [cost, *costs[first:last], costs[last] if last < len(costs) else dearest]
    below = [heights[first - 1] if first else 0.0, *heights[first:last]]
    covered = sum((right - left) * low for left, right, low in zip(edges, edges[1:], below, strict=False))
    return accuracy * (edges[-1] - cost) - covered
