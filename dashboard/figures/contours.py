"""Contours of equal FLOPs over depth and width, the path of compound scaling, and where the sliders stand."""

from __future__ import annotations

from functools import lru_cache
from math import isnan, log2, log10
from typing import Any

from dashboard.figures import BLUE, GREY, OCHRE, RED, figure
from nas.figures import iso_cost
from nas.figures.iso_cost import Contours
from search_spaces import Arch

MARKER = 3
"""The place of the marker's trace, which moves by itself."""
LEVELS = (0.25, 0.5, 1, 2, 4, 8, 16)
TICKS = {
    "tickvals": [0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4],
    "ticktext": ["¼", "½", "¾", "1", "1½", "2", "3", "4"],
    "type": "log",
}


@lru_cache(maxsize=32)
def data(arch: Arch, in_channels: int = 3, num_classes: int = 1000) -> Contours:
    """Every network of a grid, counted once: moving the sliders counts nothing anew."""
    return iso_cost.data(arch, in_channels, num_classes)


def plot(found: Contours, at: tuple[float, float] | None) -> Any:
    """Lines of equal FLOPs in powers of two; `at` is the marker's depth and width. Without a grid it waits for one."""
    times = [[None if isnan(t) else round(log2(t), 3) for t in row] for row in found.times]
    said = [["" if isnan(t) else f"{t:.2f}" for t in row] for row in found.times]
    path = [(round(d, 3), round(w, 3), f) for d, w, f in found.path]
    lines = {
        "type": "contour", "x": [round(d, 4) for d in found.depth], "y": [round(w, 4) for w in found.width],
        "z": times, "text": said, "showscale": False, "showlegend": False, "name": "equal FLOPs",
        "contours": {"coloring": "lines", "start": -2, "end": 4, "size": 1},
        "line": {"width": 1.5, "smoothing": 0.6},
        "colorscale": [[0, "#a9c3e6"], [1, BLUE]], "connectgaps": False,
        "hovertemplate": "depth × %{x:.2f}, width × %{y:.2f}<br>FLOPs × %{text}<extra></extra>",
    }  # fmt: skip
    compound = {
        "type": "scatter", "mode": "lines+markers", "x": [d for d, _, _ in path], "y": [w for _, w, _ in path],
        "customdata": [round(f, 2) for _, _, f in path], "name": "compound rule, whose resolution grows too",
        "line": {"color": RED, "width": 2}, "marker": {"size": 5},
        "hovertemplate": "compound: depth × %{x:.2f}, width × %{y:.2f}<br>all FLOPs × %{customdata}<extra></extra>",
    }  # fmt: skip
    base = _point((1, 1), "the network", GREY, "circle", 9)
    marker = _point(at or (1, 1), "where the sliders stand", OCHRE, "diamond", 14)
    drawn = figure(lines, compound, base, marker, dragmode=False, margin={"l": 8, "r": 12, "t": 56, "b": 8})
    across, up = reach(at or (1, 1))
    drawn.update_layout(
        xaxis={"title": {"text": "Depth, times the network's"}, **TICKS, "range": across},
        yaxis={"title": {"text": "Width, times the network's"}, **TICKS, "range": up},
        annotations=[_label(*label) for label in labels(found)],
    )
    return drawn


def _point(at: tuple[float, float], name: str, color: str, symbol: str, size: int) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "markers", "x": [at[0]], "y": [at[1]], "name": name,
        "marker": {"color": color, "size": size, "symbol": symbol},
        "hovertemplate": f"{name}<br>depth × %{{x:.2f}}, width × %{{y:.2f}}<extra></extra>",
    }  # fmt: skip


def labels(found: Contours) -> list[tuple[float, float, float]]:
    """(level, depth, width) of each label: where a line comes in at the left, else where it leaves at the top."""
    left = _crossings(found.width, [row[0] for row in found.times])
    top = _crossings(found.depth, list(found.times[-1]))
    return [
        (level, found.depth[0], left[level]) if level in left else (level, top[level], found.width[-1])
        for level in LEVELS
        if level in left or level in top
    ]


def _crossings(along: tuple[float, ...], times: list[float]) -> dict[float, float]:
    """Where each level is passed first along an edge of the grid."""
    found: dict[float, float] = {}
    for low, high, before, after in zip(along, along[1:], times, times[1:], strict=False):
        for level in LEVELS:
            if before <= level < after:
                found.setdefault(level, low + (high - low) * (level - before) / (after - before))
    return found


def reach(at: tuple[float, float]) -> tuple[list[float], list[float]]:
    """The ranges of both axes, wide enough for the marker."""
    depth, width = log10(at[0]), log10(at[1])
    return [min(-0.33, depth - 0.04), max(0.5, depth + 0.04)], [min(-0.33, width - 0.04), max(0.36, width + 0.04)]


def _label(level: float, depth: float, width: float) -> dict[str, Any]:
    return {"x": log10(depth), "y": log10(width), "text": f"{level:g}×", "showarrow": False, "font": {"size": 11},
            "yshift": 8, "xshift": 12}  # fmt: skip
