"""What the language knows of latency: something prices parts in whole nanoseconds, and prices add up.

Whole numbers, so that networks can be counted by latency as exactly as by FLOPs; where the prices come from, a table
measured on some device, is `nas.latency`'s business.
"""

from __future__ import annotations

from typing import Protocol

from search_spaces.arch import Arch, Stage
from search_spaces.cost import head_cost, stage_cost, stem_cost
from search_spaces.layers import Shape
from search_spaces.part import Head, Stem


class Latency(Protocol):
    """Nanoseconds of each part on the shape that reaches it; hashable, as it is a key of caches."""

    def __hash__(self) -> int: ...

    def stem(self, stem: Stem, shape: Shape) -> int:
        """A stem that reads an image of `shape`."""

    def stage(self, stage: Stage, shape: Shape) -> int:
        """All blocks of a stage."""

    def head(self, head: Head, shape: Shape, num_classes: int) -> int:
        """A head, and what a whole network takes beside its parts."""


def latency_ns(latency: Latency, arch: Arch, in_channels: int = 3, num_classes: int = 1000) -> int:
    """The nanoseconds of a network: the sum over its parts."""
    shape = Shape(in_channels, arch.resolution, arch.resolution)
    total = latency.stem(arch.stem, shape)
    shape = stem_cost(arch.stem, shape)[0]
    for stage in arch.stages:
        total += latency.stage(stage, shape)
        shape = stage_cost(stage, shape)[0]
    head_cost(arch.head, shape, num_classes)  # raises where the head does not fit
    return total + latency.head(arch.head, shape, num_classes)
