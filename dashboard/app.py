"""The application: the frame around the pages, which page is shown, and what changed since."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from dash import ClientsideFunction, Dash, Input, Output, State, ctx, dcc, html, no_update

from dashboard import pages, serving
from dashboard.loading import LeanDash
from dashboard.parts import aria, candidate, empty, field
from dashboard.site import Site
from dashboard.studies import Studies, Study
from nas.errors import UserError

TICK_MS = 2000
START = "python -m nas.search --budget 300MFLOPs --space mobile"


def create(studies: Studies, exports: Path, token: str = "") -> Dash:
    """The application on some studies. `token`: what every request must bring, or nothing."""
    app = LeanDash(
        __name__, title="nas-explorer", update_title="", suppress_callback_exceptions=True, serve_locally=True,
        assets_folder=str(Path(__file__).parent / "assets"), add_log_handler=False, on_error=_unanswered,
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
    )  # fmt: skip
    app.needed = {page.PATH: page.SCRIPTS for page in pages.pages()}
    site = Site(studies, exports)
    app.layout = lambda: frame(list(studies.look()))
    _register(app, site)
    candidate.register(app, site)
    for page in pages.pages():
        page.register(app, site)
    serving.guard(app.server, site, token)
    return app


def _unanswered(error: Exception) -> None:
    """A study that turned bad since it was read changes nothing on a page; with its next reading it is told."""
    if not isinstance(error, UserError):
        raise error


def frame(known: list[str]) -> Any:
    """What stands around every page; `known`: keys of the studies that there are."""
    brand = dcc.Link([html.Span(className="mark", **aria(hidden="true")), "nas-explorer"], href="/", className="brand")
    chooser = field("Studies", dcc.Dropdown(
        id="chosen", options=named(known), multi=True, value=[], persistence=True, persistence_type="local",
        searchable=False, clearable=False, placeholder="No study is chosen", maxHeight=320,
    ))  # fmt: skip
    theme = html.Button("◐", id="theme", title="Light or dark theme", **aria(label="Light or dark theme"))
    stores = [dcc.Store(id=name) for name in ("version", "picked", "selection", "titled", "ready")]
    return html.Div(
        [
            html.A("Skip to the page", href="#content", className="skip"),
            dcc.Location(id="url"),
            dcc.Interval(id="tick", interval=TICK_MS),
            *stores,
            html.Header(
                [brand, html.Nav(id="nav", **aria(label="Pages")), html.Div(chooser, className="chooser"), theme],
                className="top",
            ),
            html.Div(id="problems", role="status"),
            html.Main(id="content", tabIndex=-1),
        ]
    )


def _register(app: Dash, site: Site) -> None:
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("dashboard", "load"),
        Output("ready", "data"),
        Input("url", "pathname"),
        Input("version", "data"),
    )

    @app.callback(Output("nav", "children"), Input("url", "pathname"))
    def lead(path: str | None) -> Any:
        return links(pages.at(path))

    @app.callback(Output("content", "children"), Input("ready", "data"), State("version", "data"))
    def route(path: str | None, version: Any) -> Any:
        page = pages.at(path)
        return page.layout(site.chosen(version)) if page else nowhere()

    @app.callback(
        Output("chosen", "options"),
        Output("chosen", "value"),
        Output("version", "data"),
        Output("problems", "children"),
        Input("tick", "n_intervals"),
        Input("chosen", "value"),
        Input("url", "search"),
        State("chosen", "options"),
        State("version", "data"),
    )
    def look(ticks: int | None, value: list[str] | None, search: str | None, data: Any, version: Any) -> Any:
        found = site.studies.look()
        options = named(found)
        wanted = asked(search, list(found)) if version is None or ctx.triggered_id == "url" else []
        kept = wanted or [key for key in value or [] if key in found] or latest(found)
        unread = site.studies.warm(kept)
        shown = {s.key: s.version for s in site.studies.get([key for key in kept if key not in unread])}
        said = problems(site.studies, unread)
        return (
            no_update if options == data else options,
            no_update if kept == value else kept,
            no_update if shown == version and version is not None else shown,
            said if said or ticks is None or ticks % 2 == 0 else no_update,
        )

    @app.callback(Output("picked", "data"), Input("url", "search"), Input("version", "data"), State("picked", "data"))
    def open_one(search: str | None, version: Any, picked: Any) -> Any:
        asked_for = linked(search)
        if asked_for and (picked is None or ctx.triggered_id == "url"):
            return asked_for
        if picked and picked["study"] in (version or {}):
            return no_update
        return best(site.chosen(version)) or no_update

    app.clientside_callback(_TITLE, Output("titled", "data"), Input("nav", "children"))  # type: ignore[no-untyped-call]


_TITLE = """function () {
    const links = [...document.querySelectorAll('nav a')], here = links.find(a => a.classList.contains('here'));
    links.forEach(a => a === here ? a.setAttribute('aria-current', 'page') : a.removeAttribute('aria-current'));
    document.title = (here ? here.textContent + ' – ' : '') + 'nas-explorer';
    return document.title;
}"""


def named(keys: Iterable[str]) -> list[dict[str, str]]:
    """Studies as options of the menu."""
    return [{"value": key, "label": key} for key in keys]


def linked(search: str | None) -> dict[str, Any] | None:
    """The trial that an address names: `?study=…&trial=…`."""
    query = parse_qs((search or "").lstrip("?"))
    study, trial = query.get("study", [""])[0], query.get("trial", [""])[0]
    return {"study": study, "trial": int(trial)} if study and trial.isdecimal() and len(trial) < 10 else None


def best(studies: list[Study]) -> dict[str, Any] | None:
    """The best network of the first study that has one: what is open before anything is chosen."""
    for study in studies:
        if study.best:
            return {"study": study.key, "trial": study.best.number}
    return None


def asked(search: str | None, known: list[str]) -> list[str]:
    """The studies that an address names: `?study=…`."""
    return [key for key in parse_qs((search or "").lstrip("?")).get("study", []) if key in known]


def latest(found: dict[str, Study]) -> list[str]:
    """What is shown when nothing was chosen: the study that was made last."""
    newest = max(found.values(), key=lambda study: study.stored.made, default=None)
    return [newest.key] if newest else []


def links(current: pages.Page | None) -> list[Any]:
    """The links to the pages; `_TITLE` marks the one shown for screen readers too."""
    return [dcc.Link(page.LABEL, href=page.PATH, className="here" if page is current else "") for page in pages.pages()]


def problems(studies: Studies, unread: Sequence[str] = ()) -> list[Any]:
    """A sentence for each storage that cannot be read, and for each study that is being read for the first time."""
    waiting = (f"Reading {key} for the first time: thousands of trials take some seconds." for key in unread)
    broken = (_problem(text) for text in list(studies.problems.values()))
    return [html.Div(said, className="problem") for said in (*waiting, *broken)]


def _problem(text: str) -> Any:
    """What is wrong, and for a storage without studies what would fill it."""
    if "no storage" not in text and "holds no" not in text:
        return text
    return [html.P(f"{text} Begin a search, and it appears here by itself:"), html.Pre(START)]


def nowhere() -> Any:
    """An address that no page has."""
    return html.Div(empty("There is no such page. The menu above has all there are."), className="page")
