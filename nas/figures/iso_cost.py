"""Contours of equal cost over depth and width, at the resolution of compound scaling or the network's own."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Any

from nas.figures import BLUE, INK, QUIET, RED, template
from search_spaces.arch import Arch
from search_spaces.cost import cost
from search_spaces.scaled_grid import flops
from search_spaces.scaling import COMPOUND

POINTS = 33


@dataclass(frozen=True)
class Contours:
    """Realised FLOPs over the network's own, on a grid of factors; and the compound path from 1/4 to 16."""

    title: str
    flops: int
    depth: tuple[float, ...]
    width: tuple[float, ...]
    times: tuple[tuple[float, ...], ...]
    """[width][depth]; NaN where no network comes out."""
    resolution: float
    path: tuple[tuple[float, float, float], ...]
    """(depth, width, FLOPs factor) of compound scaling, resolution included."""


def data(arch: Arch, in_channels: int = 3, num_classes: int = 1000, resolution: float = 1.0) -> Contours:
    """Count every network of the grid, at `resolution` times the network's own; nothing is trained."""
    base = cost(arch, in_channels, num_classes).flops
    depth = tuple(0.5 * 6 ** (i / (POINTS - 1)) for i in range(POINTS))
    width = tuple(0.5 * 4 ** (i / (POINTS - 1)) for i in range(POINTS))
    counted = flops(arch, depth, width, resolution, in_channels, num_classes)
    factors = [2.0 ** (i / 2) for i in range(-3, 8)]
    steps = (COMPOUND.coefficients(factor) for factor in factors)
    path = tuple((d, w, factor) for (d, w, _), factor in zip(steps, factors, strict=True))
    grid = tuple(tuple(nan if f is None else f / base for f in row) for row in counted)
    return Contours(f"{arch.depth} blocks at {arch.resolution} px", base, depth, width, grid, resolution, path)


def plot(found: Contours) -> Any:
    """Lines of equal FLOPs, the network itself as a point, compound scaling as a path."""
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.add_trace(
        go.Contour(
            x=found.depth,
            y=found.width,
            z=found.times,
            contours={"coloring": "lines", "showlabels": True, "start": 0.5, "end": 12, "size": 0.5},
            line={"width": 1.25, "smoothing": 0.6},
            colorscale=[[0, "#a9c3e6"], [1, BLUE]],
            showscale=False,
            hovertemplate="depth × %{x:.2f}, width × %{y:.2f}<br>FLOPs × %{z:.2f}<extra></extra>",
            name="equal FLOPs",
        )
    )
    figure.add_trace(
        go.Scatter(
            x=[d for d, _, _ in found.path],
            y=[w for _, w, _ in found.path],
            customdata=[f for _, _, f in found.path],
            mode="lines+markers",
            line={"color": RED, "width": 2},
            marker={"size": 6},
            name="compound scaling, whose resolution grows too",
            hovertemplate="depth × %{x:.2f}, width × %{y:.2f}<br>all FLOPs × %{customdata:.2f}<extra></extra>",
        )
    )
    figure.add_trace(
        go.Scatter(
            x=[1], y=[1], mode="markers", marker={"color": INK, "size": 11}, name="the network", hoverinfo="name"
        )
    )
    at = "its own" if found.resolution == 1 else f"{found.resolution:g} times its"
    ticks = {"tickvals": [0.5, 0.75, 1, 1.5, 2, 3], "ticktext": ["½", "¾", "1", "1½", "2", "3"], "type": "log"}
    figure.update_layout(
        template=template(),
        title={
            "text": f"FLOPs of {found.title}, times {found.flops / 1e6:,.1f}M",
            "subtitle": {"text": f"counted on whole networks, at {at} resolution; steps are whole blocks and channels"},
        },
        xaxis={"title": {"text": "depth, times the network's"}, **ticks, "range": [-0.301, 0.477]},
        yaxis={"title": {"text": "width, times the network's"}, **ticks, "range": [-0.301, 0.301]},
        legend={
            "orientation": "h",
            "x": 1,
            "xanchor": "right",
            "y": 1.02,
            "yanchor": "bottom",
            "font": {"color": QUIET},
        },
    )
    return figure
