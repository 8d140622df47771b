"""Depth, width and resolution of a network, scaled (Tan 2019, EfficientNet)."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from search_spaces.arch import Arch
from search_spaces.layers import divisible


def scale(arch: Arch, depth: float = 1.0, width: float = 1.0, resolution: int | None = None) -> Arch:
    """`arch` with every stage's blocks times `depth`, rounded up, every width times `width`, rounded to multiples of 8.

    The published rules: EfficientNet-B1 to B7 come out of B0. Stem and head widen by their own rule
    (`Part.widened`).
    """
    stages = tuple(
        replace(stage, depth=ceil(stage.depth * depth), width=divisible(stage.width * width)) for stage in arch.stages
    )
    return replace(
        arch,
        resolution=resolution or arch.resolution,
        stem=arch.stem.widened(width),
        stages=stages,
        head=arch.head.widened(width),
    )
