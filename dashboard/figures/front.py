"""Accuracy against a cost, for one study or several: every trial, the front as a stair, the budget, what failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Any

from dashboard.figures import BLUE, GREY, PALETTE, RED, RING, TEXT, figure, published
from dashboard.metrics import COSTS, significant
from dashboard.studies import Row, Study

NAMES = {
    "trained": "dominated", "front": "Pareto front", "stopped": "stopped early", "failed": "failed",
    "final": "fully trained (test)", "longer": "trained longer",
}  # fmt: skip
MOST_TICKS = 6  # that stand apart on a phone
KINDS = tuple(NAMES)
"""Traces of a study, in this order: trace `i * len(KINDS) + j` is kind j of study i."""
SHARED = tuple(kind for kind in KINDS if kind != "front")
"""Kinds that several studies have one legend for: traces of their own, after those of the studies."""


@dataclass(frozen=True)
class Points:
    """Trials of one kind: numbers, costs in the axis' unit, accuracies in percent."""

    numbers: tuple[int, ...] = ()
    costs: tuple[float, ...] = ()
    accuracies: tuple[float, ...] = ()


@dataclass(frozen=True)
class Layer:
    """A study on the figure. `seen` rows are in it; `spread` is of `final`, over its seeds.

    `longer` are among `trained`; `after` is what longer training said of them, in percent.
    """

    name: str
    key: str
    seen: int
    trained: Points
    front: Points
    stopped: Points
    failed: Points
    final: Points
    spread: tuple[float, ...]
    longer: Points
    after: tuple[float, ...]
    limit: float | None


@dataclass(frozen=True)
class Front:
    """What is drawn: `metric` on the axis, a layer a study, and the published networks where they are wanted."""

    metric: str
    layers: tuple[Layer, ...]
    families: tuple[published.Family, ...] = ()
    selected: tuple[tuple[int, ...], ...] = ()


def data(studies: Sequence[Study], metric: str = "flops", backdrop: bool = False) -> Front:
    """Read studies."""
    return Front(metric, tuple(layer(s, metric) for s in studies), published.data(metric) if backdrop else ())


def layer(study: Study, metric: str, since: int = 0) -> Layer:
    """One study; `since` leaves out what was in the figure already, except on the front."""
    rows = study.rows
    columns = study.columns(metric)
    trained = columns.rows
    new = [r for r in rows[since:] if r.metric(metric) is not None]
    floor = 100 * float(min(columns.accuracies, default=0.0))
    limit = study.limits.get(metric)
    longer = [r for r in trained if r.number in study.longer]
    return Layer(
        study.name, study.key, len(rows),
        _points([r for r in new if r.state == "complete"], metric),
        _points([trained[i] for i in columns.front], metric),
        _points([r for r in new if r.state == "stopped" and r.accuracy is not None], metric),
        _points([r for r in new if r.state == "failed"], metric, floor),
        *_final(study, trained, metric),
        _points(longer, metric), tuple(round(100 * study.longer[r.number].long, 2) for r in longer),
        limit / COSTS[metric].scale if limit else None,
    )  # fmt: skip


def _points(rows: Sequence[Row], metric: str, accuracy: float | None = None) -> Points:
    scale = COSTS[metric].scale
    return Points(
        tuple(r.number for r in rows),
        tuple(significant((r.metric(metric) or 0) / scale, 4) for r in rows),  # as many as are told
        tuple(round(100 * (r.accuracy or 0), 2) if accuracy is None else round(accuracy, 2) for r in rows),
    )


def _final(study: Study, rows: Sequence[Row], metric: str) -> tuple[Points, tuple[float, ...]]:
    """Test accuracies after `nas.train`, with their spread over seeds."""
    asked = {str(row.arch): row for row in rows} if study.trainings else {}
    found = [(row, study.trainings[text]) for text, row in asked.items() if text in study.trainings]
    points = _points([row for row, _ in found], metric)
    tests = tuple(round(100 * report["test_accuracy"], 2) for _, report in found)
    return Points(points.numbers, points.costs, tests), tuple(100 * r.get("test_std", 0.0) for _, r in found)


def plot(front: Front, selected: Sequence[tuple[int, ...]] = ()) -> Any:
    """The figure. `selected`: trials of each layer that are picked out in the tables."""
    several = len(front.layers) > 1
    traces: list[dict[str, Any]] = []
    for i, one in enumerate(front.layers):
        traces += _layer(one, i, several, front.metric, selected[i] if i < len(selected) else ())
    traces += _legend(front.layers) if several else []
    metric, limits = COSTS[front.metric], _range(front)
    traces += published.traces(front.families, front.metric, limits)
    drawn = figure(*traces, margin={"l": 8, "r": 12, "t": 36, "b": 72 if front.families else 8})
    drawn.update_layout(uirevision=f"{front.metric}", clickmode="event", selectionrevision="kept")
    drawn.update_xaxes(title_text=metric.axis, type="log", range=limits)
    drawn.update_yaxes(title_text="Validation accuracy (%)", ticksuffix="")
    for i, one in enumerate(front.layers):
        if one.limit and one.limit not in [before.limit for before in front.layers[:i]]:
            _budget(drawn, one.limit, metric.unit)
    if front.families:
        drawn.update_layout(
            yaxis2={"overlaying": "y", "side": "right", "showgrid": False, "tickmode": "auto",
            "title": {"text": "ImageNet top-1 (%), published"}},
            legend2={"orientation": "h", "x": 0, "y": -0.16, "yanchor": "top", "font": {"size": 11}},
        )  # fmt: skip
    if limits:
        drawn.update_xaxes(tickvals=_ticks(*limits))
    drawn.update_xaxes(tickangle=0, tickfont_size=11, nticks=MOST_TICKS)
    return drawn


def _layer(one: Layer, i: int, several: bool, metric: str, selected: tuple[int, ...]) -> list[dict[str, Any]]:
    """The traces of a study, in the order of `KINDS`."""
    color = PALETTE[i % len(PALETTE)] if several else BLUE
    traces = {kind: _trace(one, i, kind, several, metric) for kind in KINDS}
    for kind, trace in traces.items():
        trace["marker"] = _marker(kind, color, color if several else RING)
    if selected:
        picked = set(selected)
        places = [n for n, number in enumerate(one.trained.numbers) if number in picked]
        chosen = {"size": 10} if several else {"size": 10, "color": RED}
        traces["trained"] |= {"selectedpoints": places, "selected": {"marker": chosen}}
        traces["trained"] |= {"unselected": {"marker": {"opacity": 0.3}}}
    traces["front"] |= {"mode": "lines+markers", "line": {"shape": "hv", "width": 2, "color": color}}
    spread = {"type": "data", "array": list(one.spread), "visible": any(one.spread), "color": color, "width": 4}
    traces["final"]["error_y"] = spread
    traces["longer"]["text"] = [f"{after:.2f} % trained longer" for after in one.after]
    return list(traces.values())


def _trace(one: Layer, i: int, kind: str, several: bool, metric: str) -> dict[str, Any]:
    points: Points = getattr(one, kind)
    own = kind == "front"  # of several studies each has a stair of its own in the legend, and the rest in common
    name = one.name if own and several else NAMES[kind]
    accuracy = {"failed": "failed", "longer": "%{y:.2f} %, %{text}"}.get(kind, "%{y:.2f} %")
    return {
        "type": "scatter", "mode": "markers", "name": name, "legendgroup": f"{i}{name}" if own else name,
        "x": list(points.costs), "y": list(points.accuracies),
        "customdata": [f"{i}:{number}" for number in points.numbers],
        "showlegend": (own or not several) and bool(points.numbers),
        "hovertemplate": f"{one.name}<br>trial %{{customdata}}: {accuracy}<br>%{{x:.4g}} {COSTS[metric].unit} "
        f"{COSTS[metric].label}<extra></extra>",
    }  # fmt: skip


def _marker(kind: str, color: str, dots: str) -> dict[str, Any]:
    """How a kind is drawn; `color` is the study's, `dots` that of those off the front."""
    own, size, symbol = {
        "trained": (_alpha(dots, 0.4), 7, "circle"), "front": (color, 10, "circle"),
        "stopped": (dots, 8, "triangle-down-open"), "failed": (TEXT, 7, "x-thin-open"),
        "final": (color, 10, "diamond-open"), "longer": (TEXT, 15, "circle-open"),
    }[kind]  # fmt: skip
    line = {"width": 1, "color": dots} if kind == "trained" else {"width": 1.5 if "open" in symbol else 0}
    return {"color": own, "size": size, "symbol": symbol, "line": line}


def _legend(layers: Sequence[Layer]) -> list[dict[str, Any]]:
    """What the marks of several studies mean: a trace without points for each of `SHARED`, in no study's colour."""
    return [
        {
            "type": "scatter", "mode": "markers", "name": NAMES[kind], "legendgroup": NAMES[kind], "x": [None],
            "y": [None], "marker": _marker(kind, TEXT, TEXT), "hoverinfo": "skip",
            "showlegend": any(getattr(one, kind).numbers for one in layers),
        }
        for kind in SHARED
    ]  # fmt: skip


def _range(front: Front) -> list[float] | None:
    """With a backdrop, twice as far as trials and budget reach; without one the axis follows what arrives."""
    costs = [c for one in front.layers for kind in KINDS for c in getattr(one, kind).costs]
    costs += [one.limit for one in front.layers if one.limit]
    if not costs or not front.families:
        return None
    return [log10(min(costs) * 0.5), log10(max(costs) * 2)]


def _ticks(low: float, high: float) -> list[float]:
    """Numbers evenly apart on a logarithmic axis: plotly's own, evenly apart in number, overlap on a phone."""
    every = (digit * 10.0**power for power in range(floor(low), ceil(high)) for digit in (1, 1.5, 2, 3, 5, 7))
    return [value for value in every if low <= log10(value) <= high]


def _budget(drawn: Any, limit: float, unit: str) -> None:
    drawn.add_vline(x=limit, line={"color": GREY, "width": 1.2, "dash": "dot"})
    label = f"budget {limit:g}{'M' if unit == 'millions' else f' {unit}'}"
    drawn.add_annotation(
        x=log10(limit), y=0.01, yref="paper", text=label, showarrow=False, xanchor="right", yanchor="bottom", xshift=-6
    )


def _alpha(color: str, alpha: float) -> str:
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"
