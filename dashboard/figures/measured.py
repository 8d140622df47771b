"""Measured scaling: accuracy against FLOPs of one network grown in each direction, with laws and their intervals."""

from __future__ import annotations

from typing import Any

from dashboard.figures import BLUE, GREEN, GREY, OCHRE, RED, figure
from nas.figures.trade_offs import Line, TradeOffs

COLORS = {"depth": GREEN, "width": OCHRE, "resolution": BLUE, "compound": RED}


def plot(found: TradeOffs | None) -> Any:
    """A colour a direction: its measurements, its law, and a band of the law's 95 % interval."""
    if found is None:
        return figure(xaxis={"visible": False}, yaxis={"visible": False})
    drawn = figure(*(trace for line in found.lines for trace in _line(line)), dragmode=False)
    base = {"type": "line", "x0": found.base_millions, "x1": found.base_millions, "y0": 0, "y1": 1, "yref": "paper",
            "line": {"color": GREY, "width": 1, "dash": "dot"}}  # fmt: skip
    drawn.update_layout(
        xaxis={"title": {"text": "FLOPs as deployed (millions)"}, "type": "log"},
        yaxis={"title": {"text": "Validation accuracy (%)"}}, shapes=[base],
    )  # fmt: skip
    return drawn


def _line(line: Line) -> list[dict[str, Any]]:
    color, name = COLORS[line.axis], line.axis
    common = {"type": "scatter", "legendgroup": name, "name": name}
    points = common | {
        "mode": "markers", "x": list(line.flops_millions), "y": [round(100 * a, 2) for a in line.accuracy],
        "marker": {"color": color, "size": 8}, "showlegend": not line.grid,
        "hovertemplate": f"{name}: %{{y:.2f}} % at %{{x:.4g}}M FLOPs<extra></extra>",
    }  # fmt: skip
    if not line.grid:
        return [points]
    band = common | {
        "x": [*line.grid, *reversed(line.grid)], "y": [round(100 * a, 2) for a in (*line.high, *reversed(line.low))],
        "mode": "lines", "fill": "toself", "fillcolor": color, "opacity": 0.12, "line": {"width": 0},
        "hoverinfo": "skip", "showlegend": False,
    }  # fmt: skip
    law = common | {
        "mode": "lines", "x": list(line.grid), "y": [round(100 * a, 2) for a in line.law], "hoverinfo": "skip",
        "line": {"color": color, "width": 2},
    }  # fmt: skip
    return [band, law, points]
