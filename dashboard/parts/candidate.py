"""The chosen trial: what it is, how it did, how it learned, and how to take it home."""

from __future__ import annotations

from typing import Any

from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update

from dashboard import exporting
from dashboard.figures import curves
from dashboard.metrics import percent
from dashboard.parts import aria, best, card, drawn, empty, facts, network, state, trusted
from dashboard.site import Site
from dashboard.studies import Study
from nas.candidates import Candidate
from nas.words import clock

FIELD = 400  # curves of the latest trials that the field is made of


def place() -> Any:
    """Where the chosen trial is shown."""
    return html.Div(
        [
            html.Div(id="detail"),
            html.P(id="detail-said", className="unseen", **aria(live="polite")),
            dcc.Store(id="export-go"),
            dcc.Store(id="export-gone"),
        ],
        className="detail",
    )


def register(app: Dash, site: Site) -> None:
    """The callbacks of the panel: the same on every page that has it."""

    @app.callback(Output("detail", "children"), Output("detail-said", "children"), Input("picked", "data"))
    def show(picked: Any) -> Any:
        found = site.picked(picked)
        candidate = found[0].candidate(found[1]) if found else None
        if not found or candidate is None:
            return empty("Choose a trial – a point, a row or a button – to see its network here."), ""
        return panel(found[0], candidate), f"Trial {candidate.number} of {found[0].name}, {candidate.state}."

    @app.callback(
        Output("picked", "data", allow_duplicate=True),
        Input({"type": "pick", "study": ALL, "trial": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    def choose(clicks: list[int | None]) -> Any:
        chosen = ctx.triggered_id
        return {"study": chosen["study"], "trial": chosen["trial"]} if chosen and any(clicks) else no_update

    @app.callback(
        Output("export-said", "children"),
        Output("export-go", "data"),
        Input({"type": "export", "format": ALL}, "n_clicks"),
        State("picked", "data"),
        prevent_initial_call=True,
    )
    def export(clicks: list[int | None], picked: Any) -> Any:
        found, chosen = site.picked(picked), ctx.triggered_id
        if not found or not chosen or not any(clicks):
            return no_update, no_update
        said, address = exporting.prepare(site, *found, chosen["format"])
        link = html.A("Download again", href=address, download="") if address else None
        return [html.Span(said), " ", link], address

    app.clientside_callback(  # type: ignore[no-untyped-call]
        "function (address) { if (address) { const a = document.createElement('a'); a.href = address; a.download = '';"
        " document.body.appendChild(a); a.click(); a.remove(); } return address; }",
        Output("export-gone", "data"),
        Input("export-go", "data"),
    )


def panel(study: Study, candidate: Candidate) -> Any:
    """The whole panel."""
    meta, arch = study.meta, candidate.arch
    channels, classes = meta["in_channels"], meta["num_classes"]
    return card(
        f"Trial {candidate.number}",
        headline(study, candidate),
        html.P(f"{trusted.sentence(study)}.", className="quiet small told") if study.trust else None,
        *network.whole(arch, channels, classes, "detail"),
        *_learning(study, candidate),
        _export(),
        about=study.name,
        tools=[best(study, candidate.number), state(candidate.state)],
    )


def headline(study: Study, candidate: Candidate) -> Any:
    """Accuracy and training, or why there is none."""
    meta, report, longer = study.meta, study.trainings.get(str(candidate.arch)), study.longer.get(candidate.number)
    pairs: list[tuple[str, Any]] = []
    if candidate.accuracy is not None:
        pairs.append(("Validation accuracy", html.Strong(percent(candidate.accuracy))))
    if longer:
        pairs.append(("Trained longer", f"{percent(longer.long)} after {longer.samples:,} images"))
    if latency := candidate.latency_ms:
        pairs.append(("Latency", f"{latency:.4g} ms"))
    if candidate.reason:
        pairs.append(("Reason", " – ".join(filter(None, (candidate.reason, candidate.detail)))))
    if report:
        spread = f" ± {100 * report['test_std']:.2f}" if report.get("test_std") else ""
        pairs.append(("Test accuracy, fully trained", f"{percent(report['test_accuracy'])}{spread}"))
    data = f"{meta['data']} at {candidate.pixels} px" if candidate.pixels else str(meta["data"])
    pairs += [("Trained on", data), ("Took", clock(candidate.seconds))]
    if candidate.seed is not None:
        pairs.append(("Seed", str(candidate.seed)))
    return facts(pairs)


def _learning(study: Study, candidate: Candidate) -> list[Any]:
    if not candidate.curve:
        return []
    others = [c.curve for c in study.stored.candidates()[-FIELD:] if c.curve]
    figure = curves.plot(curves.data({f"trial {candidate.number}": candidate.curve}, others))
    return [html.H3("Learning curve"), drawn(figure, "Learning curve against those of the other trials", "280px")]


def _export() -> Any:
    buttons = [
        html.Button(label, id={"type": "export", "format": name}, n_clicks=0, className="button", title=about)
        for name, label, about in exporting.formats()
    ]
    said = dcc.Loading(html.P(id="export-said", className="quiet", **aria(live="polite")), type="dot", color="#4a82d4")
    return html.Div([html.H3("Take it home"), html.Div(buttons, className="buttons"), said], className="export")
