"""The application: the frame around the pages, which page is shown, and what changed since."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, ctx, dcc, html, no_update

from dashboard import pages, serving
from dashboard.figures import BLUE
from dashboard.parts import aria, candidate, empty
from dashboard.site import Site
from dashboard.studies import Studies, Study

TICK_MS = 2000
START = "python -m nas.search --budget 300MFLOPs --space mobile"
DARK = ["#d5dae0", "#b4bcc6", "#8b95a1", "#5b6570", "#3a424c", "#2c323a", "#23282f", "#1c2026", "#171a1f", "#14171b"]
SHADES = ["#eaf1fb", "#d3e2f6", "#a9c6ee", "#7aa5e3", "#5a90dc", BLUE, "#3e74c2", "#3566a8", "#2b5489", "#21426c"]


def create(studies: Studies, exports: Path, token: str = "") -> Dash:
    """The application on some studies. `token`: what every request must bring, or nothing."""
    app = Dash(
        __name__, title="nas-explorer", update_title="", suppress_callback_exceptions=True, serve_locally=True,
        assets_folder=str(Path(__file__).parent / "assets"), add_log_handler=False,
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
    )  # fmt: skip
    app.index_string = app.index_string.replace("<html>", '<html lang="en">')
    site = Site(studies, exports)
    app.layout = frame
    _register(app, site)
    candidate.register(app, site)
    for page in pages.pages():
        page.register(app, site)
    serving.guard(app.server, site, token)
    return app


def frame() -> Any:
    """What stands around every page."""
    brand = dcc.Link([html.Span(className="mark", **aria(hidden="true")), "nas-explorer"], href="/", className="brand")
    chooser = dmc.MultiSelect(
        id="chosen", label="Studies", data=[], value=[], persistence=True, size="xs",
        persistence_type="local", searchable=False, clearable=False, className="chooser", maxDropdownHeight=320,
        comboboxProps={"width": 340, "position": "bottom-end"}, hidePickedOptions=False,
    )  # fmt: skip
    theme = dmc.ColorSchemeToggle(
        id="theme", lightIcon="☀", darkIcon="☾", size="md", variant="subtle", color="gray",
        attributes={"root": {"aria-label": "Light or dark theme"}},
    )  # fmt: skip
    stores = [dcc.Store(id=name) for name in ("version", "picked", "selection", "titled")]
    return dmc.MantineProvider(
        [
            html.A("Skip to the page", href="#content", className="skip"),
            dcc.Location(id="url"),
            dcc.Interval(id="tick", interval=TICK_MS),
            *stores,
            html.Header([brand, html.Nav(id="nav", **aria(label="Pages")), chooser, theme], className="top"),
            html.Div(id="problems", role="status"),
            html.Main(id="content", tabIndex=-1),
        ],
        theme={
            "primaryColor": "blue",
            "colors": {"blue": SHADES, "dark": DARK},
            "fontFamily": "inherit",
            "defaultRadius": "md",
        },
        defaultColorScheme="auto",
    )


def _register(app: Dash, site: Site) -> None:
    @app.callback(Output("content", "children"), Output("nav", "children"), Input("url", "pathname"))
    def route(path: str | None) -> Any:
        page = pages.at(path)
        return page.layout() if page else nowhere(), menu(page)

    @app.callback(
        Output("chosen", "data"),
        Output("chosen", "value"),
        Output("version", "data"),
        Output("problems", "children"),
        Input("tick", "n_intervals"),
        Input("chosen", "value"),
        Input("url", "search"),
        State("chosen", "data"),
        State("version", "data"),
    )
    def look(ticks: int | None, value: list[str] | None, search: str | None, data: Any, version: Any) -> Any:
        found = site.studies.look()
        options = [{"value": key, "label": key} for key in found]
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


def linked(search: str | None) -> dict[str, Any] | None:
    """The trial that an address names: `?study=…&trial=…`."""
    query = parse_qs((search or "").lstrip("?"))
    study, trial = query.get("study", [""])[0], query.get("trial", [""])[0]
    return {"study": study, "trial": int(trial)} if study and trial.isdecimal() and len(trial) < 10 else None


def best(studies: list[Study]) -> dict[str, Any] | None:
    """The most accurate network of the first study that has one: what is open before anything is chosen."""
    for study in studies:
        done = [row for row in study.rows if row.state == "complete"]
        if done:
            row = max(done, key=lambda row: (row.accuracy or 0, -row.cost.flops))
            return {"study": study.key, "trial": row.number}
    return None


def asked(search: str | None, known: list[str]) -> list[str]:
    """The studies that an address names: `?study=…`."""
    return [key for key in parse_qs((search or "").lstrip("?")).get("study", []) if key in known]


def latest(found: dict[str, Study]) -> list[str]:
    """What is shown when nothing was chosen: the study that was made last."""
    newest = max(found.values(), key=lambda study: int(study.stored.study._study_id), default=None)
    return [newest.key] if newest else []


def menu(current: pages.Page | None) -> list[Any]:
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
