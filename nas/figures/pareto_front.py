"""Accuracy against FLOPs: every trained candidate, and the stair of those that no other beats."""

from __future__ import annotations

from dataclasses import dataclass
from math import log10
from typing import Any

from nas.figures import BLUE, GREY, INK, template
from nas.figures.flops_histogram import read_at_words
from nas.store import Stored


@dataclass(frozen=True)
class Point:
    """One trained candidate."""

    trial: int
    accuracy: float
    flops: int
    arch: str
    on_front: bool


@dataclass(frozen=True)
class Front:
    """A study's candidates by ascending FLOPs, and what its axes mean."""

    study: str
    counted: str
    trained: str
    points: tuple[Point, ...]
    limit: int | None
    """The budget's limit on FLOPs, where it has one."""


def data(stored: Stored) -> Front:
    """Read a study's finished candidates."""
    front = {c.number for c in stored.front()}
    done = sorted(stored.complete(), key=lambda c: c.cost.flops)
    meta, resolutions = stored.meta, sorted({c.arch.resolution for c in done})
    pixels = sorted({c.pixels for c in done if c.pixels})
    return Front(
        study=stored.name,
        counted=read_at_words(resolutions, meta["in_channels"], meta["num_classes"]),
        trained=f"{meta['data']} at {'–'.join(str(p) for p in {pixels[0], pixels[-1]})} px" if pixels else meta["data"],
        points=tuple(Point(c.number, c.accuracy or 0.0, c.cost.flops, str(c.arch), c.number in front) for c in done),
        limit=dict(stored.budget.limits).get("flops"),
    )


def plot(front: Front) -> Any:
    """Faint dots for what is dominated, the front as a stair, the budget as a line."""
    import plotly.graph_objects as go

    best = [p for p in front.points if p.on_front]
    rest = [p for p in front.points if not p.on_front]
    figure = go.Figure()
    figure.add_trace(_dots("dominated", rest, GREY, 8))
    stair = _dots("Pareto front", best, BLUE, 11)
    stair.update(mode="lines+markers", line={"shape": "hv", "width": 2, "color": BLUE})
    figure.add_trace(stair)
    figure.update_layout(
        template=template(),
        title={"text": front.study, "subtitle": {"text": f"{len(front.points)} networks, trained on {front.trained}"}},
        xaxis={"title": {"text": f"FLOPs at {front.counted}, in millions"}, "type": "log"},
        yaxis={"title": {"text": "validation accuracy after short training"}, "tickformat": ".3~f"},
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom"},
        hovermode="closest",
    )
    costs = [p.flops / 1e6 for p in front.points] + ([front.limit / 1e6] if front.limit else [])
    if costs:
        figure.update_xaxes(range=[log10(min(costs) * 0.95), log10(max(costs) * 1.06)])
    if front.limit:
        figure.add_vline(x=front.limit / 1e6, line={"color": INK, "width": 1, "dash": "dot"})
        figure.add_annotation(
            x=log10(front.limit / 1e6), y=0.02, yref="paper", text=f"budget {front.limit / 1e6:g}M", showarrow=False,
            xanchor="right", xshift=-6, font={"color": INK},
        )  # fmt: skip
    return figure


def _dots(name: str, points: list[Point], color: str, size: int) -> Any:
    import plotly.graph_objects as go

    return go.Scatter(
        name=name,
        mode="markers",
        x=[p.flops / 1e6 for p in points],
        y=[p.accuracy for p in points],
        marker={"color": color, "size": size, "line": {"color": "white", "width": 1}},
        customdata=[[p.trial, p.arch.replace(" | ", "<br>")] for p in points],
        hovertemplate="trial %{customdata[0]}: %{y:.4f} at %{x:.1f} MFLOPs<br>%{customdata[1]}<extra></extra>",
    )
