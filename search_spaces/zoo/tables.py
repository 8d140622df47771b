"""What several families' tables share: merging equal rows, and torchvision's names for usual parts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from search_spaces.arch import Stage

NORM = {"conv": "0", "norm": "1"}
"""Torchvision's `Conv2dNormActivation` numbers its parts."""


def merged(stages: Iterable[Stage]) -> tuple[Stage, ...]:
    """Rows that repeat the block and width of the row before, unstrided, as repeats of it."""
    found: list[Stage] = []
    for stage in stages:
        last = found[-1] if found else None
        if last and stage.stride == 1 and (stage.block, stage.width) == (last.block, last.width) and not last.aux:
            found[-1] = replace(last, depth=last.depth + stage.depth, aux=stage.aux)
        else:
            found.append(stage)
    return tuple(found)
