"""Learning curves: one network's against the field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dashboard.figures import BLUE, GREY, PALETTE, figure

Curve = Sequence[Mapping[str, float]]
BAND = (10, 50, 90)


@dataclass(frozen=True)
class Curves:
    """Accuracies in percent by images seen: of some networks by name, and percentiles of the field."""

    lines: tuple[tuple[str, tuple[float, ...], tuple[float, ...]], ...]
    samples: tuple[float, ...]
    field: tuple[tuple[float, ...], ...]
    """One row for each percentile of `BAND`."""


def data(chosen: Mapping[str, Curve], field: Sequence[Curve]) -> Curves:
    """Percentiles are taken where at least three curves have a point."""
    lines = tuple(
        (name, tuple(p["samples"] for p in curve), tuple(round(100 * p["accuracy"], 2) for p in curve))
        for name, curve in chosen.items()
        if curve
    )
    seen: dict[float, list[float]] = {}
    for curve in field:
        for point in curve:
            seen.setdefault(point["samples"], []).append(100 * point["accuracy"])
    samples = tuple(sorted(at for at, values in seen.items() if len(values) >= 3))
    rows = tuple(tuple(round(float(np.percentile(seen[at], q)), 2) for at in samples) for q in BAND)
    return Curves(lines, samples, rows)


def plot(curves: Curves) -> Any:
    """The field as a band, the chosen as lines."""
    low, middle, high = curves.field
    at = list(curves.samples)
    band = {"type": "scatter", "mode": "lines", "hoverinfo": "skip", "x": at, "line": {"width": 0}}
    traces: list[dict[str, Any]] = [
        band | {"y": list(low), "showlegend": False},
        band | {"y": list(high), "fill": "tonexty", "fillcolor": "rgba(141,152,165,0.2)", "name": "80 % of all trials"},
        band | {"y": list(middle), "line": {"width": 1.5, "color": GREY, "dash": "dot"}, "name": "median"},
    ]
    traces += [
        {
            "type": "scatter", "mode": "lines+markers", "name": name, "x": list(x), "y": list(y),
            "line": {"width": 2.5, "color": BLUE if len(curves.lines) == 1 else PALETTE[i % len(PALETTE)]},
            "hovertemplate": "%{y:.2f} % after %{x:,} images<extra></extra>",
        }
        for i, (name, x, y) in enumerate(curves.lines)
    ]  # fmt: skip
    drawn = figure(*traces)
    drawn.update_xaxes(title_text="Images seen in training", rangemode="tozero")
    drawn.update_yaxes(title_text="Validation accuracy (%)")
    return drawn
