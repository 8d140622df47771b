"""Stratified splits: every class is divided in the same proportions, by a seed alone."""

from __future__ import annotations

import random
from collections.abc import Sequence


def stratified(labels: Sequence[int], fractions: Sequence[float], seed: int) -> list[list[int]]:
    """Divide the positions of `labels` into disjoint parts, one for each fraction and one for the rest.

    Of each class, a part gets its fraction, rounded, and at least 1; the rest comes last. Within a part,
    positions ascend. Each class draws from a generator of its own, so that the sizes of the other classes
    do not matter to its split.

    >>> [len(part) for part in stratified([0] * 100 + [1] * 100, [0.15, 0.15], seed=0)]
    [30, 30, 140]
    """
    parts: list[list[int]] = [[] for _ in range(len(fractions) + 1)]
    for label, positions in _positions_by_class(labels).items():
        if len(positions) < len(parts):
            raise ValueError(f"each class needs {len(parts)} items, but {label} has {len(positions)}")
        sizes = [max(1, round(fraction * len(positions))) for fraction in fractions]
        random.Random(f"{seed}/{label}").shuffle(positions)
        start = 0
        for part, size in zip(parts, sizes, strict=False):
            part.extend(positions[start : start + size])
            start += size
        parts[-1].extend(positions[start:])
    return [sorted(part) for part in parts]


def _positions_by_class(labels: Sequence[int]) -> dict[int, list[int]]:
    positions: dict[int, list[int]] = {}
    for position, label in enumerate(labels):
        positions.setdefault(label, []).append(position)
    return positions
