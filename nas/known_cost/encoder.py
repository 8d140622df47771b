"""Candidates as numbers that a kernel can compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.known_cost.domain import Label, Parameter

Array = NDArray[np.float64]


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
