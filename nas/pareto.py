"""Fronts of accuracy (up) against cost (down), and their hypervolume. Plain Python, exact in two dimensions."""

from __future__ import annotations

from collections.abc import Sequence

Pair = tuple[float, float]
"""(accuracy, cost)"""


def front(points: Sequence[Pair]) -> list[int]:
    """Indices of the points that no other beats, by ascending cost; of equal points the first."""
    best = float("-inf")
    kept = []
    for i in sorted(range(len(points)), key=lambda i: (points[i][1], -points[i][0], i)):
        if points[i][0] > best:
            best = points[i][0]
            kept.append(i)
    return kept


def layers(points: Sequence[Pair]) -> list[list[int]]:
    """All points by Pareto rank: the front, the front of the rest, and so on."""
    left, ranked = list(range(len(points))), []
    while left:
        layer = [left[i] for i in front([points[i] for i in left])]
        ranked.append(layer)
        taken = set(layer)
        left = [i for i in left if i not in taken]
    return ranked


def hypervolume(points: Sequence[Pair], reference: Pair) -> float:
    """Area that the points dominate within the reference (lowest accuracy, highest cost)."""
    worst, dearest = reference
    kept = [points[i] for i in front(points) if points[i][0] > worst and points[i][1] < dearest]
    rights = [cost for _, cost in kept[1:]] + [dearest]
    return sum((accuracy - worst) * (right - cost) for (accuracy, cost), right in zip(kept, rights, strict=False))
