"""Measured scaling: the same network grown by depth, width, resolution and all three, trained with several seeds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas.listed import Item
from nas.power_law import Fitted, fit
from nas.store import Stored
from search_spaces.arch import Arch
from search_spaces.errors import ArchError
from search_spaces.scaling import MIXES, along


@dataclass(frozen=True)
class Curve:
    """The measurements of one direction by ascending FLOPs, and their law; `base` is the first network's FLOPs."""

    axis: str
    flops: tuple[int, ...]
    accuracy: tuple[float, ...]
    fitted: Fitted | None

    @property
    def falls(self) -> tuple[float, float] | None:
        """Mean accuracy at the smallest and at the largest cost, where growth made it worse; a law cannot say that."""
        ends = [
            [a for f, a in zip(self.flops, self.accuracy, strict=True) if f == end]
            for end in (min(self.flops), max(self.flops))
        ]
        first, last = (sum(values) / len(values) for values in ends)
        return (first, last) if last < first else None


def variants(arch: Arch, factors: Iterable[float], repeats: int, axes: Iterable[str] = tuple(MIXES)) -> list[Item]:
    """Every direction at every factor, `repeats` seeds each; the network itself once for all directions.

    Variants that cannot be are left out: nothing shrinks below one block a stage or one pixel a map.
    """
    found: dict[tuple[str, int], Item] = {}
    for repeat in range(repeats):  # one seed of everything first: a run that is stopped still has whole curves
        for factor in sorted(factors, key=lambda f: (f != 1, f)):
            for axis in ("base",) if factor == 1 else axes:
                try:
                    scaled = arch if factor == 1 else along(arch, MIXES[axis], factor)
                except ArchError:
                    continue
                if factor == 1 or scaled != arch:
                    notes = {"axis": axis, "factor": factor, "base": str(arch)}
                    found.setdefault((str(scaled), repeat), Item(scaled, repeat, notes))
    return list(found.values())


def curves(stored: Stored, arch: Arch) -> list[Curve]:
    """Each direction's measurements of `arch`, the network itself in all of them."""
    mine = [c for c in stored.complete() if c.attrs.get("base") == str(arch)]
    base = [c for c in mine if c.attrs["axis"] == "base"]
    reference = float(stored.cost_of(arch).flops)
    found = []
    for axis in MIXES:
        points = sorted([*base, *(c for c in mine if c.attrs["axis"] == axis)], key=lambda c: c.cost.flops)
        if len(points) == len(base):
            continue
        flops = np.array([c.cost.flops for c in points], dtype=float)
        accuracy = np.array([c.accuracy or 0.0 for c in points])
        law = fit(flops, accuracy, reference)
        found.append(Curve(axis, tuple(c.cost.flops for c in points), tuple(accuracy.tolist()), law))
    return found


def verdict(found: list[Curve], factor: float, base_flops: float) -> list[dict[str, Any]]:
    """What each direction's law says at `factor` times the cost, best first, with its 95 % interval."""
    rows = []
    for curve in found:
        if curve.fitted is None:
            continue
        at = factor * base_flops
        low, high = (float(bound) for bound in curve.fitted.interval(at))
        rows.append({"axis": curve.axis, "accuracy": float(curve.fitted.law(at)), "low": low, "high": high})
    return sorted(rows, key=lambda row: -row["accuracy"])
