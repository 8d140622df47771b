"""Where networks spend: their FLOPs by how far the map has shrunk, side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from math import log2
from typing import Any

from dashboard.figures import GREY, figure
from search_spaces import Arch, ledger

HEAD = 0
"""In place of a stride: the head, whose map is 1 px."""
SHADES = {
    1: "#1d3b73",
    2: "#2f5fb3",
    4: "#4a82d4",
    8: "#7aa5e3",
    16: "#a9c6ee",
    32: "#c9d8ec",
    64: "#dfe7f1",
    HEAD: GREY,
}


@dataclass(frozen=True)
class Spending:
    """FLOPs in millions of each network (columns) at each stride (rows), the largest map first.

    A stride is by how much a map's side is smaller than the input's, rounded to a power of two; `sides` are the maps'.
    """

    names: tuple[str, ...]
    strides: tuple[int, ...]
    flops: tuple[tuple[float, ...], ...]
    sides: tuple[tuple[str, ...], ...]


def data(networks: Mapping[str, Arch], in_channels: int = 3, num_classes: int = 1000) -> Spending:
    """Read networks; a head counts at its own map, 1 px."""
    found = [_by_stride(arch, in_channels, num_classes) for arch in networks.values()]
    strides = sorted({stride for by in found for stride in by}, key=lambda stride: stride or max(SHADES) + 1)
    flops = tuple(tuple(round(sum(by[stride].values()), 4) for by in found) for stride in strides)
    sides = tuple(tuple(", ".join(f"{side}²" for side in by[stride]) + " px" for by in found) for stride in strides)
    return Spending(tuple(networks), tuple(strides), flops, sides)


def _by_stride(arch: Arch, in_channels: int, num_classes: int) -> dict[int, dict[int, float]]:
    """FLOPs in millions by stride and side."""
    found: dict[int, dict[int, float]] = defaultdict(dict)
    for row in ledger(arch, in_channels, num_classes):
        side = max(1, row.output.height)
        stride = min(max(SHADES), 2 ** max(0, round(log2(arch.resolution / side)))) if side > 1 else HEAD
        found[stride][side] = found[stride].get(side, 0.0) + row.cost.flops / 1e6
    return found


def plot(spending: Spending) -> Any:
    """Stacked bars, one a network."""
    drawn = figure(
        *(
            {
                "type": "bar", "orientation": "h", "name": f"1/{stride}" if stride else "head", "customdata": sides,
                "y": list(spending.names), "x": list(values), "marker": {"color": SHADES[stride]},
                "hovertemplate": "%{x:.4g} M FLOPs at %{customdata}<extra>%{y}</extra>",
            }
            for stride, values, sides in zip(spending.strides, spending.flops, spending.sides, strict=True)
        ),
        barmode="stack", bargap=0.4, dragmode=False, height=130 + 44 * len(spending.names),
        legend={"traceorder": "normal"},
    )  # fmt: skip
    drawn.update_xaxes(title_text="FLOPs (millions)")
    drawn.update_yaxes(autorange="reversed", showgrid=False)
    return drawn
