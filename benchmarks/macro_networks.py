"""Networks of NAS-Bench-Macro to judge scores by: drawn over the whole table, or of like cost.

A draw of n is the beginning of a longer draw of the same seed, so `spread(table, 64 + n, seed)[64:]` shares no
network with `spread(table, 64, seed)`: what was developed on one is reported on the other.

The table is described in `nas_bench_macro.py`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from random import Random

from nas_bench_macro import network

from nas.errors import UserError

__all__ = ["Row", "in_band", "network", "read", "spread"]


@dataclass(frozen=True)
class Row:
    """What the table says of a network: CIFAR-10 test accuracy in [0, 1], mean of three full trainings, and its costs.

    `flops` is the table's word: multiply-adds of convolutions and linear layers at 32 px, `macs` in this project.
    """

    accuracy: float
    flops: int
    params: int


def read(path: Path) -> dict[str, Row]:
    """The table by network: eight digits of 0, 1, 2, one a layer; raise `UserError` when it is not that table."""
    try:
        table = json.loads(path.read_text())
        return {
            str(choices): Row(float(row["mean_acc"]) / 100, int(row["flops"]), int(row["params"]))
            for choices, row in table.items()
        }
    except (OSError, ValueError, AttributeError, TypeError, KeyError) as error:
        raise UserError(f"--table must be NAS-Bench-Macro's JSON table, but {path} is not: {error!r}") from None


def spread(table: dict[str, Row], n: int, seed: int) -> list[str]:
    """`n` networks drawn uniformly over the table, none twice."""
    return _drawn(sorted(table), n, seed)


def in_band(table: dict[str, Row], centre_flops: int, n: int, seed: int, width: float = 0.05) -> list[str]:
    """`n` networks drawn uniformly from those whose FLOPs are within `width` of the centre, none twice."""
    inside = sorted(c for c, row in table.items() if abs(row.flops - centre_flops) <= width * centre_flops)
    return _drawn(inside, n, seed)


def _drawn(networks: list[str], n: int, seed: int) -> list[str]:
    if n > len(networks):
        raise UserError(f"no more networks can be drawn than there are, {len(networks)}, but got {n}")
    return Random(seed).sample(networks, len(networks))[:n]
