"""Accuracy against a cost, for one study or several: every trial, the front as a stair, the budget, what failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10
from typing import Any

from dashboard.figures import BLUE, DOTS, GREY, PALETTE, RED, TEXT, figure, published
from dashboard.metrics import COSTS, significant
from dashboard.studies import Row, Study

KINDS = ("trained", "front", "stopped", "failed", "final", "longer")
"""Traces of a study, in this order: trace `i * len(KINDS) + j` is kind j of study i."""


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
    drawn.update_xaxes(tickangle=0, tickfont_size=11)
    return drawn


def _layer(one: Layer, i: int, several: bool, metric: str, selected: tuple[int, ...]) -> list[dict[str, Any]]:
    """The traces of a study, in the order of `KINDS`."""
    color = PALETTE[i % len(PALETTE)] if several else BLUE
    faint = _alpha(color, 0.35) if several else DOTS
    trained = _trace(one, i, one.trained, "dominated", metric, not several, color=faint, size=7)
    if selected:
        picked = set(selected)
        trained |= {"selectedpoints": [n for n, number in enumerate(one.trained.numbers) if number in picked]}
        trained |= {"selected": {"marker": {"color": RED, "size": 10}}, "unselected": {"marker": {"opacity": 0.3}}}
    stair = _trace(one, i, one.front, one.name if several else "Pareto front", metric, True, color=color, size=10)
    stair |= {"mode": "lines+markers", "line": {"shape": "hv", "width": 2, "color": color}}
    stopped = _trace(
        one, i, one.stopped, "stopped early", metric, not several, color=faint, size=8, symbol="triangle-down-open"
    )
    failed = _trace(
        one, i, one.failed, "failed", metric, not several, color=_alpha(RED, 0.7), size=7, symbol="x-thin-open"
    )
    failed["hovertemplate"] = "trial %{customdata}: failed<br>%{x:.4g} " + COSTS[metric].unit + "<extra></extra>"
    final = _trace(one, i, one.final, "fully trained (test)", metric, True, color=color, size=10, symbol="diamond-open")
    final["error_y"] = {
        "type": "data",
        "array": list(one.spread),
        "visible": any(one.spread),
        "color": color,
        "width": 4,
    }
    longer = _trace(
        one, i, one.longer, "trained longer", metric, not several, color=TEXT, size=15, symbol="circle-open"
    )
    longer |= {"text": [f"{after:.2f} % trained longer" for after in one.after]}
    longer["hovertemplate"] = longer["hovertemplate"].replace(" %<br>", " %, %{text}<br>")
    return [trained, stair, stopped, failed, final, longer]


def _trace(
    one: Layer,
    i: int,
    points: Points,
    name: str,
    metric: str,
    legend: bool,
    *,
    color: str,
    size: int,
    symbol: str = "circle",
) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "markers", "name": name, "legendgroup": f"{i}{name}",
        "x": list(points.costs), "y": list(points.accuracies),
        "customdata": [f"{i}:{number}" for number in points.numbers],
        "showlegend": legend and bool(points.numbers),
        "marker": {"color": color, "size": size, "symbol": symbol, "line": {"width": 1.5 if "open" in symbol else 0}},
        "hovertemplate": f"{one.name}<br>trial %{{customdata}}: %{{y:.2f}} %<br>%{{x:.4g}} {COSTS[metric].unit} "
        f"{COSTS[metric].label}<extra></extra>",
    }  # fmt: skip


def _range(front: Front) -> list[float] | None:
    """With a backdrop, twice as far as trials and budget reach; without one the axis follows what arrives."""
    costs = [c for one in front.layers for kind in KINDS for c in getattr(one, kind).costs]
    costs += [one.limit for one in front.layers if one.limit]
    if not costs or not front.families:
        return None
    return [log10(min(costs) * 0.5), log10(max(costs) * 2)]


def _budget(drawn: Any, limit: float, unit: str) -> None:
    drawn.add_vline(x=limit, line={"color": GREY, "width": 1.2, "dash": "dot"})
    label = f"budget {limit:g}{'M' if unit == 'millions' else f' {unit}'}"
    drawn.add_annotation(
        x=log10(limit), y=0.01, yref="paper", text=label, showarrow=False, xanchor="right", yanchor="bottom", xshift=-6
    )


def _alpha(color: str, alpha: float) -> str:
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"
