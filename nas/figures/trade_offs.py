"""Measured scaling: accuracy against FLOPs for each direction, with its law and how sure it is (Tan 2019, figure 8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nas.figures import BLUE, INK, RED, template
from nas.store import Stored
from nas.trade_offs import Curve, curves
from search_spaces.arch import Arch

COLOURS = {"depth": "#4f8f5b", "width": "#c08a2e", "resolution": BLUE, "compound": RED}
GRID = 60


@dataclass(frozen=True)
class Line:
    """One direction: its points and, where there are enough, the law with a 95 % interval on a grid of FLOPs."""

    axis: str
    flops_millions: tuple[float, ...]
    accuracy: tuple[float, ...]
    grid: tuple[float, ...] = ()
    law: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True)
class TradeOffs:
    """The directions of one network in one study."""

    study: str
    trained: str
    base_millions: float
    lines: tuple[Line, ...]


def data(stored: Stored, arch: Arch) -> TradeOffs:
    """Read a study that `nas.scale --measure` made."""
    lines = tuple(_line(curve) for curve in curves(stored, arch))
    done = stored.complete()
    pixels = sorted({c.pixels for c in done if c.pixels})
    seeds = len({c.repeat for c in done})
    sizes = f"{pixels[0]} to {pixels[-1]} px" if pixels else "no size yet"
    trained = f"{stored.meta['data']} at {sizes}, {seeds} seed{'s' * (seeds != 1)}"
    return TradeOffs(stored.name, trained, stored.cost_of(arch).flops / 1e6, lines)


def _line(curve: Curve) -> Line:
    points = Line(curve.axis, tuple(f / 1e6 for f in curve.flops), curve.accuracy)
    if curve.fitted is None:
        return points
    grid = np.geomspace(min(curve.flops), max(curve.flops), GRID)
    low, high = curve.fitted.interval(grid)
    law = curve.fitted.law(grid)
    values = (tuple(array.tolist()) for array in (grid / 1e6, law, low, high))
    return Line(points.axis, points.flops_millions, points.accuracy, *values)


def plot(found: TradeOffs) -> Any:
    """A colour a direction: points, law, and a band of its interval."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for line in found.lines:
        colour = COLOURS[line.axis]
        if line.grid:
            figure.add_trace(
                go.Scatter(
                    x=[*line.grid, *reversed(line.grid)],
                    y=[*line.high, *reversed(line.low)],
                    fill="toself",
                    fillcolor=colour,
                    opacity=0.12,
                    line={"width": 0},
                    hoverinfo="skip",
                    showlegend=False,
                    legendgroup=line.axis,
                )
            )
            figure.add_trace(
                go.Scatter(
                    x=line.grid,
                    y=line.law,
                    mode="lines",
                    line={"color": colour, "width": 2},
                    hoverinfo="skip",
                    name=line.axis,
                    legendgroup=line.axis,
                )
            )
        figure.add_trace(
            go.Scatter(
                x=line.flops_millions,
                y=line.accuracy,
                mode="markers",
                marker={"color": colour, "size": 8, "line": {"color": "white", "width": 1}},
                name=line.axis,
                legendgroup=line.axis,
                showlegend=not line.grid,
                hovertemplate=f"{line.axis}<br>%{{y:.4f}} at %{{x:.1f}}M FLOPs<extra></extra>",
            )
        )
    figure.add_vline(x=found.base_millions, line={"color": INK, "width": 1, "dash": "dot"})
    figure.update_layout(
        template=template(),
        title={"text": found.study, "subtitle": {"text": f"one network grown in each direction; {found.trained}"}},
        xaxis={"title": {"text": "FLOPs as deployed, in millions"}, "type": "log", "exponentformat": "none"},
        yaxis={"title": {"text": "validation accuracy"}, "tickformat": ".3~f"},
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom"},
        hovermode="closest",
    )
    return figure
