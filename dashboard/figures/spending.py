"""Where networks spend: their FLOPs by the resolution of the map, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dashboard.figures import figure
from search_spaces import Arch, ledger

SHADES = ("#2f5fb3", "#4a82d4", "#7aa5e3", "#a9c6ee", "#8d98a5", "#b4bdc7", "#d3d9df")


@dataclass(frozen=True)
class Spending:
    """FLOPs in millions of each network (columns) at each side of the output map (rows), largest map first."""

    names: tuple[str, ...]
    sides: tuple[int, ...]
    flops: tuple[tuple[float, ...], ...]


def data(networks: Mapping[str, Arch], in_channels: int = 3, num_classes: int = 1000) -> Spending:
    """Read networks; a head counts at its own map, 1 px."""
    found: dict[str, dict[int, float]] = {}
    for name, arch in networks.items():
        by_side = found.setdefault(name, {})
        for row in ledger(arch, in_channels, num_classes):
            side = max(1, row.output.height)
            by_side[side] = by_side.get(side, 0.0) + row.cost.flops / 1e6
    sides = tuple(sorted({side for by in found.values() for side in by}, reverse=True))
    rows = tuple(tuple(round(by.get(side, 0.0), 4) for by in found.values()) for side in sides)
    return Spending(tuple(found), sides, rows)


def plot(spending: Spending) -> Any:
    """Stacked bars, one a network."""
    drawn = figure(
        *(
            {
                "type": "bar", "orientation": "h", "name": f"{side}² px" if side > 1 else "head",
                "y": list(spending.names), "x": list(values), "marker": {"color": SHADES[min(i, len(SHADES) - 1)]},
                "hovertemplate": "%{x:.4g} M FLOPs at " + f"{side}² px<extra>%{{y}}</extra>",
            }
            for i, (side, values) in enumerate(zip(spending.sides, spending.flops, strict=True))
        ),
        barmode="stack", bargap=0.4, dragmode=False, height=130 + 44 * len(spending.names),
        legend={"traceorder": "normal"},
    )  # fmt: skip
    drawn.update_xaxes(title_text="FLOPs (millions) by side of the map")
    drawn.update_yaxes(autorange="reversed", showgrid=False)
    return drawn
