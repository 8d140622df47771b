"""Fronts of many trials, quickly: numpy leaves few points, and one pass over those is the hypervolume's history.

`nas.pareto` says what a front and a hypervolume are; the tests hold these to it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

import numpy as np


def front(accuracies: Sequence[float], costs: Sequence[float]) -> list[int]:
    """Indices of the points that no other beats, by ascending cost; of equal points the first."""
    accuracy, cost = np.asarray(accuracies, dtype=float), np.asarray(costs, dtype=float)
    if not len(accuracy):
        return []
    order = np.argsort(cost, kind="stable")
    best = np.maximum.accumulate(accuracy[order])
    rises = order[np.concatenate(([True], best[1:] > best[:-1]))]
    last_of_cost = np.concatenate((cost[rises][1:] != cost[rises][:-1], [True]))
    found: list[int] = rises[last_of_cost].tolist()
    return found


def history(accuracies: Sequence[float], costs: Sequence[float], dearest: float) -> list[tuple[int, float]]:
    """(how many points were in, hypervolume) each time it grew, from accuracy 0 up to the cost `dearest`."""
    rights: list[float] = []  # costs of the front so far, ascending, and their accuracies
    heights: list[float] = []
    area, grown = 0.0, []
    for i in _risen(accuracies, costs, dearest, rights, heights):
        accuracy, cost = accuracies[i], costs[i]
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
    accuracies: Sequence[float], costs: Sequence[float], dearest: float, rights: list[float], heights: list[float]
) -> Iterator[int]:
    """Points that the front, as it stood when their block began, does not cover; blocks double in length."""
    accuracy, cost = np.asarray(accuracies, dtype=float), np.asarray(costs, dtype=float)
    start, length = 0, 256
    while start < len(cost):
        at = slice(start, start + length)
        under = np.concatenate(([-np.inf], heights))[np.searchsorted(rights, cost[at], side="right")]
        yield from (start + np.flatnonzero((cost[at] < dearest) & (under < accuracy[at]))).tolist()
        start, length = start + length, 2 * length


def _gain(
    costs: list[float], heights: list[float], first: int, last: int, accuracy: float, cost: float, dearest: float
) -> float:
    """What a new point adds: its own rectangle up to the next better one, less what was covered of it."""
    edges = [cost, *costs[first:last], costs[last] if last < len(costs) else dearest]
    below = [heights[first - 1] if first else 0.0, *heights[first:last]]
    covered = sum((right - left) * low for left, right, low in zip(edges, edges[1:], below, strict=False))
    return accuracy * (edges[-1] - cost) - covered
