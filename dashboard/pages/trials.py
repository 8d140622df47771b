"""Every trial: a grid to sort, filter and take away, parallel coordinates, and what matters."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import dash_ag_grid as dag
from dash import Dash, Input, Output, State, ctx, dcc, html, no_update

from dashboard.figures import importance, parallel
from dashboard.loading import GRID, PLOTLY
from dashboard.metrics import significant
from dashboard.parts import candidate, card, graph
from dashboard.site import Site, slug
from dashboard.studies import Row, Study

PATH, LABEL, ORDER = "/trials", "Trials", 10
SCRIPTS = (PLOTLY, GRID)
THEME = (
    "themeQuartz.withParams({backgroundColor: 'var(--card)', foregroundColor: 'var(--ink)', borderColor: 'var(--line)',"
    " headerBackgroundColor: 'var(--card)', headerTextColor: 'var(--quiet)', chromeBackgroundColor: 'var(--card)',"
    " accentColor: 'var(--accent)', menuBackgroundColor: 'var(--card)', rowHoverColor: 'var(--page)',"
    " selectedRowBackgroundColor: 'var(--accent-soft)', inputBackgroundColor: 'var(--card)', wrapperBorderRadius: 8,"
    " fontFamily: 'inherit', headerFontFamily: 'inherit', fontSize: 13, rowHeight: 34, headerHeight: 38,"
    " browserColorScheme: 'inherit'})"
)
NUMBERS = (("n", "Trial", 76), ("a", "Accuracy %", 142), ("f", "FLOPs (M)", 98), ("m", "MACs (M)", 98),
           ("p", "Params (M)", 114), ("v", "Activations (M)", 126), ("k", "Peak act. (M)", 118),
           ("l", "Latency (ms)", 112), ("d", "Blocks", 82), ("r", "Input (px)", 94),
           ("t", "Took (s)", 90))  # fmt: skip
REDRAW = 1.01  # the summaries are drawn anew when there are so many times the trials that they show
COSTLY = ("flops", "macs", "params", "activations", "peak_activations", "latency_ms")
CSV = ("study", "trial", "state", "accuracy", *COSTLY, "seconds", "reason", "arch")


def layout(studies: Sequence[Study]) -> Any:
    save = html.Button("Save as CSV", id="trials-save", className="button", n_clicks=0)
    clear = html.Button("Clear selection", id="trials-clear", className="button", n_clicks=0)
    return html.Div(
        [
            html.H1("Trials", className="unseen"),
            card("All trials", grid(studies), about=html.Span(id="trials-about"), tools=[clear, save]),
            candidate.place(),
            card("Parallel coordinates", graph("trials-lines", "Parallel coordinates of every trained network",
            "340px"),
                 about="Drag along an axis to keep a part; what is kept is selected in the grid and on the front."),
            card("What matters", graph("trials-matters", "How much each choice explains of the accuracy", "380px"),
                 about=html.Span(id="trials-matters-about")),
            dcc.Store(id="trials-seen"), dcc.Store(id="trials-brushes"), dcc.Store(id="trials-drawn"),
            dcc.Download(id="trials-csv"),
        ],
        className="page split",
    )  # fmt: skip


def grid(studies: Sequence[Study]) -> Any:
    options = {
        "theme": {"function": THEME}, "animateRows": False, "rowBuffer": 6, "tooltipShowDelay": 300,
        "rowSelection": {"mode": "multiRow", "checkboxes": True, "headerCheckbox": True, "selectAll": "filtered",
                         "enableClickSelection": False},
    }  # fmt: skip
    return dag.AgGrid(
        id="trials-grid", columnDefs=columns(studies), rowData=[], getRowId="params.data.id", dashGridOptions=options,
        defaultColDef={"sortable": True, "resizable": True, "suppressHeaderMenuButton": True, "floatingFilter": True,
                       "suppressHeaderFilterButton": True, "suppressFloatingFilterButton": True},
                       style={"height": "52vh"},
    )  # fmt: skip


def columns(studies: Sequence[Study]) -> list[dict[str, Any]]:
    """The columns of the grid; one of latencies where a study has any."""
    timed = any(row.latency_ms for study in studies for row in study.rows)
    number = {"filter": "agNumberColumnFilter", "type": "rightAligned"}
    kept = [column for column in NUMBERS if timed or column[0] != "l"]
    found: list[dict[str, Any]] = [{"field": f, "headerName": name, "width": w, **number} for f, name, w in kept]
    found[0] |= {"pinned": "left"}
    found[1] |= {
        "sort": "desc",
        "valueFormatter": {"function": "params.value == null ? '–' : params.value.toFixed(2)"},
    }
    found.insert(2, {"field": "s", "headerName": "State", "width": 105, "filter": True})
    return [*found, {"field": "why", "headerName": "Reason", "width": 170, "filter": True},
            {"field": "study", "headerName": "Study", "width": 240, "filter": True}]  # fmt: skip


def register(app: Dash, site: Site) -> None:
    _register_grid(app, site)
    _register_summaries(app, site)
    _register_selection(app, site)


def _register_grid(app: Dash, site: Site) -> None:
    @app.callback(
        Output("trials-grid", "rowData"),
        Output("trials-grid", "rowTransaction"),
        Output("trials-grid", "columnDefs"),
        Output("trials-seen", "data"),
        Output("trials-about", "children"),
        Input("version", "data"),
        State("trials-seen", "data"),
    )
    def fill(version: Any, seen: Any) -> Any:
        studies = site.chosen(version)
        now = {s.key: [s.born, len(s.rows)] for s in studies}
        told = about(studies)
        if not seen or {k: v[0] for k, v in seen.items()} != {k: v[0] for k, v in now.items()}:
            return [record(s, r) for s in studies for r in s.rows], no_update, columns(studies), now, told
        new = [record(s, r) for s in studies for r in s.rows[seen[s.key][1] :]]
        return no_update, {"add": new} if new else no_update, no_update, now, told

    @app.callback(
        Output("trials-csv", "data"),
        Input("trials-save", "n_clicks"),
        State("trials-grid", "virtualRowData"),
        State("version", "data"),
        prevent_initial_call=True,
    )
    def save(clicks: int, shown: Any, version: Any) -> Any:
        studies = site.chosen(version)
        order = [(row["study"], row["n"]) for row in shown or ()]
        name = slug(studies[0].name) if len(studies) == 1 else "studies"
        return {"content": written(studies, order), "filename": f"{name}-trials.csv", "type": "text/csv"}


def _register_summaries(app: Dash, site: Site) -> None:
    @app.callback(
        Output("trials-lines", "figure"),
        Output("trials-lines-said", "children"),
        Output("trials-matters", "figure"),
        Output("trials-matters-said", "children"),
        Output("trials-matters-about", "children"),
        Output("trials-drawn", "data"),
        Input("version", "data"),
        State("trials-drawn", "data"),
        State("trials-brushes", "data"),
    )
    def read(version: Any, drawn: Any, brushes: Any) -> Any:
        studies = site.chosen(version)
        rows, keys = [r for s in studies for r in s.rows], [s.key for s in studies]
        if drawn and drawn["keys"] == keys and len(rows) < drawn["rows"] * REDRAW:
            return (no_update,) * 6  # one more among thousands changes nothing that can be seen
        lines = parallel.data(rows)
        plotted = no_update if brushes and drawn and drawn["keys"] == keys else parallel.plot(lines)
        choices = () if unlike(studies) else importance.data(rows)
        mattering = importance.plot(choices), importance.said(choices), matters(studies, choices)
        return plotted, parallel.said(lines), *mattering, {"keys": keys, "rows": len(rows)}


def _register_selection(app: Dash, site: Site) -> None:
    @app.callback(Output("picked", "data", allow_duplicate=True), Input("trials-grid", "cellClicked"),
                  prevent_initial_call=True)  # fmt: skip
    def choose(cell: Any) -> Any:
        return named(str((cell or {}).get("rowId", ""))) or no_update

    @app.callback(
        Output("selection", "data", allow_duplicate=True),
        Output("trials-brushes", "data", allow_duplicate=True),
        Output("trials-grid", "selectedRows"),
        Input("trials-lines", "restyleData"),
        Input("trials-clear", "n_clicks"),
        State("trials-brushes", "data"),
        State("version", "data"),
        prevent_initial_call=True,
    )
    def brush(restyled: Any, clear: int, brushes: Any, version: Any) -> Any:
        if ctx.triggered_id == "trials-clear":
            return {}, {}, []
        kept = brushed(brushes or {}, restyled)
        studies = site.chosen(version)
        chosen = {s.key: parallel.within(parallel.data(s.rows), kept) if kept else [] for s in studies}
        return chosen, kept, {"ids": [f"{key}/{n}" for key, numbers in chosen.items() for n in numbers]}

    @app.callback(Output("selection", "data", allow_duplicate=True), Input("trials-grid", "selectedRows"),
                  prevent_initial_call=True)  # fmt: skip
    def select(rows: Any) -> Any:
        if not isinstance(rows, list):
            return no_update
        chosen: dict[str, list[int]] = {}
        for row in rows:
            chosen.setdefault(row["study"], []).append(row["n"])
        return chosen


def record(study: Study, row: Row) -> dict[str, Any]:
    """A row of the grid, in few bytes."""
    values = {
        "id": f"{study.key}/{row.number}", "n": row.number, "s": row.state, "study": study.key,
        "a": None if row.accuracy is None else round(100 * row.accuracy, 2),
        "f": significant(row.cost.flops / 1e6), "m": significant(row.cost.macs / 1e6),
        "p": significant(row.cost.params / 1e6, 4), "v": significant(row.cost.activations / 1e6, 4),
        "k": significant(row.cost.peak_activations / 1e6, 4), "l": row.latency_ms and significant(row.latency_ms, 4),
        "d": row.arch.depth, "r": row.arch.resolution, "t": row.seconds and round(row.seconds, 1), "why": row.reason,
    }  # fmt: skip
    return {name: value for name, value in values.items() if value not in (None, "")}


def named(row: str) -> dict[str, Any] | None:
    """The trial of a row's id, as the stores name it."""
    key, _, number = row.rpartition("/")
    return {"study": key, "trial": int(number)} if key and number.isdecimal() else None


def brushed(before: dict[str, Any], restyled: Any) -> dict[str, Any]:
    """The brushes after a change that plotly tells of: `dimensions[3].constraintrange`."""
    changed = dict(before)
    for path, value in (restyled[0] if restyled else {}).items():
        if path.startswith("dimensions[") and "constraintrange" in path:
            place = path.removeprefix("dimensions[").partition("]")[0]
            ranges = (
                value[0]
                if value and isinstance(value[0], list) and value[0] and isinstance(value[0][0], list)
                else value
            )
            changed[place] = ranges
    return {place: ranges for place, ranges in changed.items() if ranges}


def about(studies: Sequence[Study]) -> str:
    """How many, and how to use them."""
    finished = sum(len(s.rows) for s in studies)
    return f"{finished:,} finished trials. A click opens a trial; ticked ones are picked out on the front."


def matters(studies: Sequence[Study], choices: Sequence[importance.Choice]) -> str:
    """What the bars mean, or why there are none."""
    if apart := unlike(studies):
        return f"The chosen studies differ in {' and '.join(apart)}: choose one to see what matters in it."
    if not choices:
        return f"Shown from {importance.FEWEST} trained networks on."
    whose = f"{sum(len(s.trained) for s in studies):,} trained networks of {' and '.join(s.name for s in studies)}"
    return (
        f"Part of the accuracy of {whose} that a choice explains once the effect of FLOPs is taken out. "
        "Few trials say little."
    )


def unlike(studies: Sequence[Study]) -> list[str]:
    """In what studies differ so that their accuracies do not compare."""
    trainings = [study.training for study in studies]
    return [name for name in (trainings or [{}])[0] if any(t[name] != trainings[0][name] for t in trainings)]


def written(studies: Sequence[Study], order: Sequence[tuple[str, int]]) -> str:
    """Trials as CSV with exact numbers and text forms: those in `order`, or all."""
    rows = {(s.key, r.number): (s, r) for s in studies for r in s.rows}
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(CSV)
    for study, row in (rows[at] for at in (order or rows) if at in rows):
        costs = (row.metric(name) for name in COSTLY)
        writer.writerow(
            [study.name, row.number, row.state, row.accuracy, *costs, row.seconds, row.reason, str(row.arch)]
        )
    return out.getvalue()
