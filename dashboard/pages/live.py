"""A search as it runs: trials in flight, how fast it goes, what ended last, what failed and why."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from dash import Dash, Input, Output, State, dcc, html, no_update

from dashboard.figures import curves, rungs, throughput
from dashboard.loading import BASIC
from dashboard.metrics import percent
from dashboard.parts import candidate, card, empty, facts, graph, pick, state, table
from dashboard.site import Site
from dashboard.studies import Row, Study
from nas.candidates import UNFINISHED
from nas.words import clock, short

PATH, LABEL, ORDER = "/live", "Live", 50
SCRIPTS = (BASIC,)
LATEST = 12
RECENT = 20  # trials whose mean time is taken for those to come


def layout(studies: Sequence[Study]) -> Any:
    return html.Div(
        [
            html.H1("Live", className="unseen"),
            card("Progress", html.Div(id="live-facts"), html.Div(id="live-running"), about=html.Span(id="live-about")),
            candidate.place(),
            card("Learning curves", graph("live-curves", "Learning curves of the trials in flight", "280px"),
                 about="Of the trials in flight, as they train, against the finished ones."),
            card("Rungs", graph("live-rungs", "How many candidates got to each rung", "210px"), name="live-rungs-card",
                 about="Candidates stop at the end of a rung; the best for their cost go on to the next."),
            card("Throughput", graph("live-pace", "Finished trials an hour, over the time searched", "260px")),
            card("Ended last", html.Div(id="live-latest")),
            card("Failures", html.Div(id="live-failures")),
            dcc.Store(id="live-seen"),
        ],
        className="page split",
    )  # fmt: skip


def register(app: Dash, site: Site) -> None:
    @app.callback(
        Output("live-facts", "children"),
        Output("live-latest", "children"),
        Output("live-failures", "children"),
        Output("live-pace", "figure"),
        Output("live-pace-said", "children"),
        Input("version", "data"),
    )
    def tell(version: Any) -> Any:
        studies = site.chosen(version)
        rows = [r for s in studies for r in s.rows]
        pace = throughput.data(rows)
        return progress(studies), latest(studies), failures(rows), throughput.plot(pace), throughput.said(pace)

    @app.callback(
        Output("live-running", "children"),
        Output("live-about", "children"),
        Input("tick", "n_intervals"),
        Input("version", "data"),
    )
    def fly(ticks: int | None, version: Any) -> Any:
        studies = site.chosen(version)
        return running(studies, time.time()), about(studies, time.time())

    @app.callback(
        Output("live-rungs", "figure"),
        Output("live-rungs-said", "children"),
        Output("live-rungs-card", "style"),
        Input("version", "data"),
    )
    def climb(version: Any) -> Any:
        found = rungs.data(site.chosen(version))
        return rungs.plot(found), rungs.said(found), {} if found else {"display": "none"}

    @app.callback(
        Output("live-curves", "figure"),
        Output("live-curves-said", "children"),
        Output("live-seen", "data"),
        Input("tick", "n_intervals"),
        Input("version", "data"),
        State("live-seen", "data"),
    )
    def learn(ticks: int | None, version: Any, seen: Any) -> Any:
        studies = site.chosen(version)
        now = [[s.key, s.born, len(s.rows), [[r.number, len(r.curve)] for r in flying(s)]] for s in studies]
        if seen == now:
            return (no_update,) * 3
        lines, field = learning(studies)
        return curves.plot(curves.data(lines, field)), spoken(lines), now


def flying(study: Study) -> list[Row]:
    """Trials that are running."""
    return [row for row in study.open if row.state == "running"]


def learning(studies: Sequence[Study]) -> tuple[dict[str, curves.Curve], list[curves.Curve]]:
    """Curves of the trials in flight by name, and those of the finished ones."""
    several = len(studies) > 1
    lines = {
        f"trial {r.number}" + (f" of {s.name}" if several else ""): r.curve
        for s in studies for r in flying(s) if r.curve
    }  # fmt: skip
    return lines, [r.curve for s in studies for r in s.rows[-candidate.FIELD :] if r.curve]


def spoken(lines: Mapping[str, curves.Curve]) -> str:
    """Where each curve stands."""
    said = [f"{name} at {percent(curve[-1]['accuracy'])}" for name, curve in lines.items()]
    return "In flight: " + ", ".join(said) if said else "No trial in flight has a learning curve yet."


def progress(studies: Sequence[Study]) -> Any:
    """Counts and speed."""
    rows = [r for s in studies for r in s.rows]
    failed, early = (sum(r.state == kind for r in rows) for kind in ("failed", "stopped"))
    stopped = [("Stopped early", f"{early:,}")] if any(s.rungs > 1 for s in studies) else []
    pace = throughput.hourly(rows)
    return facts([
        ("Trained", f"{len(rows) - failed - early:,}"), *stopped, ("Failed", f"{failed:,}"),
        ("Running", str(sum(r.state == "running" for s in studies for r in s.open))),
        ("Best accuracy", _best(studies)), ("Pace", f"{pace:.0f} an hour" if pace else "–"),
        ("Mean time", clock(sum(r.seconds or 0 for r in rows) / len(rows)) if rows else "–"),
        ("Proposals", f"{sum(r.proposals.get('proposed', 0) for r in rows):,}"), ("Repaired to fit",
        f"{sum(r.proposals.get('repaired', 0) for r in rows):,}"),
    ])  # fmt: skip


def _best(studies: Sequence[Study]) -> str:
    """What the best network reached, of several studies' that of the highest accuracy."""
    found = [(study.best.accuracy or 0.0, study.longer.get(study.best.number)) for study in studies if study.best]
    if not found:
        return percent(None)
    accuracy, longer = max(found, key=lambda one: one[0])
    return percent(accuracy) + (f", {percent(longer.long)} trained longer" if longer else "")


def left(study: Study, now: float) -> float | None:
    """Seconds until the latest run of a study stops, as far as it said; None where it did not, or is over."""
    trials, until, running = study.run.get("trials"), study.run.get("until"), flying(study)
    if not running:
        return None
    ends = [max(0.0, float(until) - now)] if until else []
    times = [r.seconds for r in study.rows if r.seconds][-RECENT:]
    if trials and times:
        counted = sum(r.state != "failed" or r.reason not in UNFINISHED for r in study.rows)
        mean, missing = sum(times) / len(times), max(0, int(trials) - counted)
        begun = [min(mean, max(0.0, now - (r.begun or now))) for r in running]
        ends.append(max(0.0, missing * mean - sum(begun)) / len(running))
    return min(ends, default=None)


def time_left(studies: Sequence[Study], now: float) -> str:
    """The time left of all runs, which go on beside each other, as a sentence; nothing where none is known."""
    longest = max((s for s in (left(study, now) for study in studies) if s is not None), default=None)
    return "" if longest is None else f"About {clock(longest)} left. "


def about(studies: Sequence[Study], now: float) -> str:
    """When something last happened."""
    last = max((r.ended or 0 for s in studies for r in s.rows), default=0)
    if not last:
        return f"Nothing has ended yet. {time_left(studies, now)}This page follows by itself."
    ago = clock(max(0, now - last))
    return f"The last trial ended {ago} ago. {time_left(studies, now)}This page follows by itself."


def running(studies: Sequence[Study], now: float) -> Any:
    """Trials in flight, beside how long a trial took so far."""
    rows = []
    for study in studies:
        usual = [r.seconds for r in study.rows if r.seconds]
        for row in study.open:
            if row.state == "running":
                passed = max(0.0, now - (row.begun or now))
                name = f"Trial {row.number}{_rung(study, row)}"
                rows.append([pick(study.key, row.number, name), short(row.cost.flops), str(row.arch.depth),
                             percent(row.curve[-1]["accuracy"]) if row.curve else "–",
                             clock(passed), clock(sum(usual) / len(usual)) if usual else "–"])  # fmt: skip
    if not rows:
        return html.P("No trial is running.", className="quiet")
    return table(
        ["In flight", "FLOPs", "Blocks", "Accuracy so far", "Runs for", "Mean of a trial"],
        rows,
        "Trials in flight",
        numbers=1,
    )


def _rung(study: Study, row: Row) -> str:
    """Where a trial in flight is, where there are rungs."""
    return f", rung {len(row.rungs) + 1} of {study.rungs}" if study.rungs > 1 else ""


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
