"""A search as it runs: trials in flight, how fast it goes, what ended last, what failed and why."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from dash import Dash, Input, Output, html

from dashboard.figures import throughput
from dashboard.metrics import clock, percent, short
from dashboard.parts import candidate, card, empty, facts, graph, pick, state, table
from dashboard.site import Site
from dashboard.studies import Row, Study

PATH, LABEL, ORDER = "/live", "Live", 50
LATEST = 12


def layout() -> Any:
    return html.Div(
        [
            html.H1("Live", className="unseen"),
            card("Progress", html.Div(id="live-facts"), html.Div(id="live-running"), about=html.Span(id="live-about")),
            candidate.place(),
            card("Throughput", graph("live-pace", "Finished trials an hour, over the time searched", "260px")),
            card("Ended last", html.Div(id="live-latest")),
            card("Failures", html.Div(id="live-failures")),
        ],
        className="page split",
    )


def register(app: Dash, site: Site) -> None:
    @app.callback(
        Output("live-facts", "children"),
        Output("live-latest", "children"),
        Output("live-failures", "children"),
        Output("live-pace", "figure"),
        Input("version", "data"),
    )
    def tell(version: Any) -> Any:
        studies = site.chosen(version)
        rows = [r for s in studies for r in s.rows]
        return progress(studies), latest(studies), failures(rows), throughput.plot(throughput.data(rows))

    @app.callback(
        Output("live-running", "children"),
        Output("live-about", "children"),
        Input("tick", "n_intervals"),
        Input("version", "data"),
    )
    def fly(ticks: int | None, version: Any) -> Any:
        studies = site.chosen(version)
        return running(studies, time.time()), about(studies, time.time())


def progress(studies: Sequence[Study]) -> Any:
    """Counts and speed."""
    rows = [r for s in studies for r in s.rows]
    failed = sum(r.state == "failed" for r in rows)
    pace, best = throughput.hourly(rows), max((r.accuracy for r in rows if r.accuracy is not None), default=None)
    return facts([
        ("Trained", f"{len(rows) - failed:,}"), ("Failed", f"{failed:,}"),
        ("Running", str(sum(r.state == "running" for s in studies for r in s.open))),
        ("Best accuracy", percent(best)), ("Pace", f"{pace:.0f} an hour" if pace else "–"),
        ("Mean time", clock(sum(r.seconds or 0 for r in rows) / len(rows)) if rows else "–"),
        ("Proposals", f"{sum(r.proposals.get('proposed', 0) for r in rows):,}"), ("Repaired to fit",
        f"{sum(r.proposals.get('repaired', 0) for r in rows):,}"),
    ])  # fmt: skip


def about(studies: Sequence[Study], now: float) -> str:
    """When something last happened."""
    last = max((r.ended or 0 for s in studies for r in s.rows), default=0)
    if not last:
        return "Nothing has ended yet. This page follows by itself."
    return f"The last trial ended {clock(max(0, now - last))} ago. This page follows by itself."


def running(studies: Sequence[Study], now: float) -> Any:
    """Trials in flight, beside how long a trial took so far."""
    rows = []
    for study in studies:
        usual = [r.seconds for r in study.rows if r.seconds]
        for row in study.open:
            if row.state == "running":
                passed = max(0.0, now - (row.begun or now))
                rows.append([pick(study.key, row.number, f"Trial {row.number}"), short(row.cost.flops),
                str(row.arch.depth),
                             clock(passed), clock(sum(usual) / len(usual)) if usual else "–"])  # fmt: skip
    if not rows:
        return html.P("No trial is running.", className="quiet")
    return table(["In flight", "FLOPs", "Blocks", "Runs for", "Mean of a trial"], rows, "Trials in flight", numbers=1)


def latest(studies: Sequence[Study]) -> Any:
    """The trials that ended last, the latest first."""
    ended = sorted(((r.ended or 0, s, r) for s in studies for r in s.rows), key=lambda found: -found[0])[:LATEST]
    rows = [
        [
            pick(s.key, r.number, f"Trial {r.number}"),
            state(r.state),
            percent(r.accuracy),
            short(r.cost.flops),
            clock(r.seconds),
        ]
        for _, s, r in ended
    ]
    heads = ["Network", "State", "Accuracy", "FLOPs", "Took"]
    return table(heads, rows, "Trials that ended last", numbers=2) if rows else empty("No trial has ended yet.")


def failures(rows: Sequence[Row]) -> Any:
    """Reasons, how often, and when last."""
    failed = [r for r in rows if r.state == "failed"]
    if not failed:
        return html.P("No trial failed.", className="quiet")
    counts = Counter(r.reason or "unknown" for r in failed)
    lasts = {reason: max(r.number for r in failed if (r.reason or "unknown") == reason) for reason in counts}
    body = [
        [reason, f"{n:,}", f"{100 * n / len(rows):.1f} %", f"trial {lasts[reason]}"]
        for reason, n in counts.most_common()
    ]
    return table(["Reason", "Trials", "Share", "Last"], body, "Failures by reason", numbers=1)
