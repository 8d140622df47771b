"""Accuracy against cost: where the front is, how it grew, and any network on it in full."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import Dash, Input, Output, Patch, State, ctx, dcc, html, no_update

from dashboard.figures import front, hypervolume
from dashboard.loading import BASIC
from dashboard.metrics import COSTS, percent
from dashboard.parts import best, candidate, card, choice, empty, graph, pick, table, trusted
from dashboard.site import Site
from dashboard.studies import Study
from nas.words import short

PATH, LABEL, ORDER = "/", "Front", 0
SCRIPTS = (BASIC,)
BACKDROP = "Published networks"
START = "python -m nas.search --budget 300MFLOPs --space mobile"


def layout(studies: Sequence[Study]) -> Any:
    options = [(m.name, m.label) for m in COSTS.values()]
    backdrop = dcc.Checklist([BACKDROP], [], id="front-backdrop", className="switch")
    return html.Div(
        [
            html.H1("Pareto front", className="unseen"),
            card(
                "Accuracy against cost",
                graph("front-figure", "Accuracy of every trained network against its cost", "min(58vh, 520px)",
                tools=True),
                about=html.Span(id="front-about"),
                tools=[choice("front-metric", "Cost on the axis", options, "flops"), backdrop],
            ),
            candidate.place(),
            card("On the front", html.Div(id="front-list"),
            about="No other trained network is both cheaper and better."),
            card("How far to trust it", html.Div(id="front-trust"), name="front-trust-card",
            about="Some networks are trained longer to see whether short training ranks them alike."),
            card("Growth", graph("front-growth", "Hypervolume by the number of trained networks", "300px"),
                 about=html.Span(id="front-growth-about")),
            dcc.Store(id="front-seen"),
        ],
        className="page split",
    )  # fmt: skip


def register(app: Dash, site: Site) -> None:
    @app.callback(
        Output("front-figure", "figure"),
        Output("front-seen", "data"),
        Input("version", "data"),
        Input("front-metric", "value"),
        Input("front-backdrop", "value"),
        State("front-seen", "data"),
        State("selection", "data"),
    )
    def draw(version: Any, metric: str, ticked: list[str], seen: Any, selection: Any) -> Any:
        studies, backdrop = site.chosen(version), bool(ticked)
        now = {"metric": metric, "backdrop": backdrop, "counts": [[s.key, s.born, len(s.rows)] for s in studies]}
        if seen and _grew(seen, now):
            return no_update if seen == now else patch(studies, seen, metric), now
        picked = [tuple((selection or {}).get(s.key, ())) for s in studies]
        return front.plot(front.data(studies, metric, backdrop), picked), now

    @app.callback(
        Output("front-about", "children"),
        Output("front-figure-said", "children"),
        Output("front-list", "children"),
        Output("front-growth", "figure"),
        Output("front-growth-about", "children"),
        Output("front-growth-said", "children"),
        Input("version", "data"),
        Input("front-metric", "value"),
    )
    def tell(version: Any, metric: str) -> Any:
        studies = site.chosen(version)
        said = " ".join(sentence(s, metric) for s in studies)
        grown, enclosed = hypervolume.data(studies, metric), hypervolume.about(studies, metric)
        growth = hypervolume.plot(grown), enclosed, hypervolume.said(grown)
        return about(studies), said, listing(studies, metric), *growth

    @app.callback(Output("front-trust", "children"), Output("front-trust-card", "style"), Input("version", "data"))
    def judge(version: Any) -> Any:
        found = trusted.shown(site.chosen(version))
        return found, {} if found else {"display": "none"}

    @app.callback(
        Output("picked", "data", allow_duplicate=True),
        Output("selection", "data", allow_duplicate=True),
        Input("front-figure", "clickData"),
        Input("front-figure", "selectedData"),
        State("version", "data"),
        prevent_initial_call=True,
    )
    def choose(clicked: Any, selected: Any, version: Any) -> Any:
        keys = list(version or {})
        if "front-figure.selectedData" in ctx.triggered_prop_ids:
            return no_update, _selection(keys, selected)
        return _named(keys, clicked) or no_update, no_update


def _grew(seen: Any, now: Any) -> bool:
    """Whether the figure shows the same studies on the same axes, and nothing but new trials is missing."""
    return bool([c[:2] for c in seen["counts"]] == [c[:2] for c in now["counts"]]
                and all(seen[k] == now[k] for k in ("metric", "backdrop")) and now["counts"])  # fmt: skip


def patch(studies: Sequence[Study], seen: Any, metric: str) -> Patch:
    """What is new, to be added to the figure that a page has: zoom and selection stay."""
    change = Patch()
    for i, (study, (_, _, count)) in enumerate(zip(studies, seen["counts"], strict=True)):
        if len(study.rows) == count:
            continue
        new = front.layer(study, metric, since=count)
        for j, kind in enumerate(front.KINDS):
            points, trace = getattr(new, kind), change["data"][i * len(front.KINDS) + j]
            values = {
                "x": list(points.costs), "y": list(points.accuracies),
                "customdata": [f"{i}:{n}" for n in points.numbers]
            }  # fmt: skip
            for name, value in values.items():
                if kind in ("front", "final", "longer"):
                    trace[name] = value
                elif value:
                    trace[name].extend(value)
            if points.numbers and kind in front.SHARED:
                common = len(studies) * len(front.KINDS) + front.SHARED.index(kind)
                change["data"][common if len(studies) > 1 else j]["showlegend"] = True
    return change


def _named(keys: list[str], event: Any) -> dict[str, Any] | None:
    """The trial of the first point of an event, as the stores name it."""
    for point in (event or {}).get("points", []):
        place, _, number = str(point.get("customdata", "")).partition(":")
        if place.isdecimal() and number.isdecimal() and int(place) < len(keys):
            return {"study": keys[int(place)], "trial": int(number)}
    return None


def _selection(keys: list[str], event: Any) -> dict[str, list[int]]:
    """Trials inside a box or a lasso, by study."""
    chosen: dict[str, list[int]] = {}
    for point in (event or {}).get("points", []):
        named = _named(keys, {"points": [point]})
        if named:
            chosen.setdefault(named["study"], []).append(named["trial"])
    return {key: sorted(set(numbers)) for key, numbers in chosen.items()}


# ---------------------------------------------------------------------------------------- words


def about(studies: Sequence[Study]) -> str:
    """One line on what is shown."""
    if not studies:
        return "No study is chosen."
    said = []
    for study in studies:
        failed = sum(r.state == "failed" for r in study.rows)
        stopped = sum(r.state == "stopped" for r in study.rows)
        counts = f"{len(study.trained):,} trained" + (f", {stopped:,} stopped early" if stopped else "")
        counts += f", {failed:,} failed" if failed else ""
        counts += f", {len(study.open)} running" if study.open else ""
        said.append(f"{study.about}: {counts}")
    return " · ".join(said)


def sentence(study: Study, metric: str) -> str:
    """The front in words."""
    points = front.layer(study, metric, since=len(study.rows)).front
    if not points.numbers:
        return f"{study.name} has no trained network yet."
    most = f"{points.accuracies[-1]:.2f} % at {points.costs[-1]:.4g} {COSTS[metric].unit} {COSTS[metric].label}"
    said = f"{len(points.numbers)} networks on the front, the most accurate {most}, trial {points.numbers[-1]}"
    longer = study.longer.get(study.best.number) if study.best else None
    after = f"; the best, {percent(longer.long)} after longer training, is trial {longer.number}" if longer else ""
    return f"{study.name}: {said}{after}."


def listing(studies: Sequence[Study], metric: str) -> Any:
    """The front as a table with a button a network, for keyboards, screen readers and phones."""
    rows, shown = [], ["flops", "macs", "params"]
    shown += [metric] if metric not in shown else []
    for study in studies:
        columns = study.columns(metric)
        for row in (columns.rows[i] for i in reversed(columns.front)):
            button = pick(study.key, row.number, f"Trial {row.number}", f"Open trial {row.number} of {study.name}")
            named = [button, best(study, row.number)]
            numbers = [percent(row.accuracy), *(short(row.metric(m) or 0) for m in shown)]
            rows.append([named, *([study.name] if len(studies) > 1 else []), *numbers, f"{row.arch.resolution} px",
                         str(row.arch.depth)])  # fmt: skip
    if not rows:
        return empty("There is no trained network yet; this page fills by itself as a search goes on.", START)
    whose = ["Study"] if len(studies) > 1 else []
    heads = ["Network", *whose, "Accuracy", *(_head(m) for m in shown), "Input", "Blocks"]
    return table(heads, rows, "Networks on the front", numbers=2 if len(studies) > 1 else 1)


def _head(metric: str) -> str:
    """A column's name; counts need no unit, for each is written with its own."""
    found = COSTS[metric]
    return f"{found.label} ({found.unit})" if found.scale == 1 else found.label.replace("Parameters", "Params")
