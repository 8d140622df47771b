"""EfficientNet's own answer: B0 to B7, each B0 scaled by a φ, with their published accuracies on ImageNet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from dashboard.figures import BLUE, OCHRE, figure
from nas.words import short
from search_spaces import zoo

PHI = (0.0, 0.5, 1.0, 2.0, 3.5, 5.0, 6.0, 7.0)
"""The paper's own φ for B0 to B7; its printed factors are these, rounded."""
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)


@dataclass(frozen=True)
class Member:
    """One of the family; costs exact, `top1` as published, in percent."""

    name: str
    phi: float
    resolution: int
    depth: int
    flops: int
    macs: int
    params: int
    top1: float


@lru_cache(maxsize=1)
def data() -> tuple[Member, ...]:
    """B0 to B7."""
    found = []
    for number, phi in enumerate(PHI):
        network = zoo.find(f"efficientnet_b{number}")
        own, arch = network.cost, network.arch
        found.append(Member(f"B{number}", phi, arch.resolution, arch.depth, own.flops, own.macs, own.params,
                            network.published.top1 or 0.0))  # fmt: skip
    return tuple(found)


def said(members: tuple[Member, ...], flops: float | None = None) -> str:
    """Both ends of the family, and where the sliders stand."""
    ends = " to ".join(f"{m.name} {m.top1:.1f} % at {short(m.flops)} FLOPs" for m in (members[0], members[-1]))
    return f"EfficientNet {ends}." + (f" The sliders stand at {short(flops)}." if flops else "")


def plot(members: tuple[Member, ...], flops: float | None = None) -> Any:
    """Accuracy against FLOPs; `flops` is what the sliders' network costs, a line of its own."""
    own = {
        "type": "scatter", "mode": "lines+markers+text", "x": [m.flops / 1e9 for m in members],
        "y": [m.top1 for m in members], "text": [m.name for m in members], "textposition": "bottom right",
        "line": {"color": BLUE, "width": 2}, "marker": {"size": 7}, "name": "EfficientNet B0 to B7, published",
        "cliponaxis": False, "hovertemplate": "%{text}: %{y:.1f} % at %{x:.3g}G FLOPs<extra></extra>",
    }  # fmt: skip
    at = [flops / 1e9] * 2 if flops else []
    line = {
        "type": "scatter", "mode": "lines", "x": at, "y": [76, 85.5] if at else [], "name": "where the sliders stand",
        "line": {"color": OCHRE, "width": 2, "dash": "dot"}, "hovertemplate": "%{x:.3g}G FLOPs<extra></extra>",
    }  # fmt: skip
    drawn = figure(own, line, dragmode=False, margin={"l": 8, "r": 24, "t": 36, "b": 8})
    drawn.update_layout(
        xaxis={
            "title": {"text": "FLOPs (billions)"},
            "type": "log",
            "tickvals": TICKS,
            "ticktext": [f"{t:g}" for t in TICKS],
        },
        yaxis={"title": {"text": "ImageNet top-1 (%)"}, "range": [76, 85.5]},
    )
    return drawn
