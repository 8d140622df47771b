"""Parallel coordinates: every trained network as a line through its costs, shape and accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.figures import figure
from dashboard.metrics import COSTS, significant
from dashboard.studies import Row

AXES: tuple[tuple[str, str], ...] = (
    ("resolution", "Input (px)"), ("depth", "Blocks"), ("widest", "Widest"), ("params", "Params (M)"),
    ("peak_activations", "Peak (M)"), ("flops", "FLOPs (M)"), ("accuracy", "Accuracy (%)"),
    ("latency_ms", "Latency (ms)"),
)  # fmt: skip
"""MACs are left out: they tell almost what FLOPs tell. Latency is last, for not every study has one."""


@dataclass(frozen=True)
class Lines:
    """One column an axis, in the order of `numbers`; axes on which all agree are left out."""

    numbers: tuple[int, ...]
    columns: tuple[tuple[str, tuple[float, ...]], ...]


def data(rows: Sequence[Row]) -> Lines:
    """Read trained networks."""
    kept = [r for r in rows if r.state == "complete"]
    there = [(name, label) for name, label in AXES if name != "latency_ms" or all(r.latency_ms for r in kept)]
    columns = [(label, tuple(_value(r, name) for r in kept)) for name, label in there]
    varied = tuple((label, values) for label, values in columns if len(set(values)) > 1)
    return Lines(tuple(r.number for r in kept), varied)


def _value(row: Row, name: str) -> float:
    if name == "accuracy":
        return round(100 * (row.accuracy or 0), 2)
    if name == "widest":
        return max((stage.width for stage in row.arch.stages), default=0)
    if name in ("resolution", "depth"):
        return float(getattr(row.arch, name))
    return significant((row.metric(name) or 0) / COSTS[name].scale, 4)


def said(lines: Lines) -> str:
    """How many networks, and from where to where each axis goes."""
    ends = [f"{label} {min(values):g} to {max(values):g}" for label, values in lines.columns]
    return f"{len(lines.numbers)} networks: {', '.join(ends)}." if lines.numbers else ""


def within(lines: Lines, brushes: Mapping[str, Any]) -> list[int]:
    """Numbers of the networks that pass every brush: `{"0": [[low, high], …]}` by place of the axis."""
    kept = set(range(len(lines.numbers)))
    for place, ranges in brushes.items():
        if int(place) < len(lines.columns) and ranges:
            spans = ranges if isinstance(ranges[0], list) else [ranges]
            values = lines.columns[int(place)][1]
            kept &= {i for i in kept if any(low <= values[i] <= high for low, high in spans)}
    return [lines.numbers[i] for i in sorted(kept)]


def plot(lines: Lines) -> Any:
    """Coloured by accuracy. Drag along an axis to keep some."""
    accuracy = dict(lines.columns).get("Accuracy (%)", ())
    trace = {
        "type": "parcoords",
        "dimensions": [{"label": label, "values": list(values)} for label, values in lines.columns],
        "labelfont": {"size": 12}, "tickfont": {"size": 11}, "rangefont": {"size": 1, "color": "rgba(0,0,0,0)"},
        "unselected": {"line": {"opacity": 0.08}},
        "line": {"color": list(accuracy), "colorscale": [[0, "#b9c4d0"], [0.5, "#6f9ad6"], [1, "#2f5fb3"]]},
    }  # fmt: skip
    return figure(trace, margin={"l": 32, "r": 44, "t": 44, "b": 14})
