"""The space that was searched: how large it is, what its networks cost, and where the search has been."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from dash import Dash, Input, Output, State, dcc, html, no_update

from dashboard.figures import CLEAR, GREY, coverage, template
from dashboard.figures.importance import words
from dashboard.loading import PLOTLY
from dashboard.metrics import percent
from dashboard.parts import card, drawn, empty, facts, field, graph
from dashboard.site import Site
from dashboard.studies import Study, at_resolution
from nas.figures import flops_histogram
from nas.words import short
from search_spaces.budget import Budget
from search_spaces.errors import LanguageError
from search_spaces.feasible import Feasible
from search_spaces.spaces import find

PATH, LABEL, ORDER = "/space", "Space", 40
SCRIPTS = (PLOTLY,)


def layout(studies: Sequence[Study]) -> Any:
    part = field("Part", dcc.Dropdown(id="space-part", options=[], clearable=False, searchable=False))
    return html.Div(
        [
            html.H1("Space", className="unseen"),
            html.Div(dcc.Loading(html.Div(id="space-about"), type="dot", color="#4a82d4"), className="shown"),
            card("Where the search has been", html.P(id="space-gaps", className="quiet"),
                 graph("space-coverage", "Share of each option over the course of the search", "auto"),
                 about="How often each option was taken, from the first trials at the left to the last at the right.",
                 tools=part),
        ],
        className="page",
    )  # fmt: skip


def register(app: Dash, site: Site) -> None:
    @app.callback(Output("space-about", "children"), Input("version", "data"), State("space-about", "children"))
    def tell(version: Any, before: Any) -> Any:
        studies = site.chosen(version)
        if not studies:
            return empty("Choose a study to see the space it searches.")
        return (
            no_update
            if before and version and len(version) == 1 and _same(before, studies[0])
            else overview(studies[0])
        )

    @app.callback(
        Output("space-part", "options"),
        Output("space-part", "value"),
        Output("space-gaps", "children"),
        Output("space-coverage", "figure"),
        Output("space-coverage-said", "children"),
        Output("space-coverage", "style"),
        Input("version", "data"),
        Input("space-part", "value"),
    )
    def cover(version: Any, part: str | None) -> Any:
        studies = site.chosen(version)
        if not studies:
            return [], None, "", coverage.plot(()), "", {"height": "120px"}
        options = coverage.data(studies[0].space(), studies[0].rows)
        parts = coverage.parts(options)
        shown = (
            part if part in parts else next((p for p in parts if p.startswith("stage")), parts[0] if parts else None)
        )
        choices = [{"value": p, "label": words(p).capitalize()} for p in parts]
        kept = [o for o in options if o.path.split(".")[0] == shown]
        height = {"height": f"{coverage.height(kept)}px"}
        return choices, shown, gaps(options), coverage.plot(kept), coverage.said(kept), height


def _same(before: Any, study: Study) -> bool:
    props = before.get("props", {}) if isinstance(before, dict) else {}
    return bool(props.get("id") == f"space-of-{study.born}")


def overview(study: Study) -> Any:
    """Size, costs and share of the space, or why they cannot be told."""
    space = study.space()
    if space is None:
        text = f"{study.name} searched {study.meta['space']}, which is no named space: its file is not run here."
        return html.Div(empty(text), id=f"space-of-{study.born}")
    name, budget = str(study.meta["space"]), str(study.meta.get("budget") or "")
    args = (name, study.meta.get("resolution"), budget, study.meta["in_channels"], study.meta["num_classes"])
    pairs, histogram, bounded = reading(*args)
    figure = flops_histogram.plot(histogram)
    figure.update_layout(
        template=template(), title=None, paper_bgcolor=CLEAR, plot_bgcolor=CLEAR, dragmode=False,
        margin={"l": 8, "r": 12, "t": 28, "b": 8},
    )  # fmt: skip
    described = find(name).about
    exactly = "Size, cheapest and dearest are exact; the part within the budget lies between two bounds."
    counted = f"All of them, counted to within {short(histogram.blur)} FLOPs each and not sampled, {histogram.read_at}"
    cards = [
        card(f"Space {name}", facts(pairs), about=f"{described.rstrip('.')}. {exactly if bounded else ''}"),
        card("What its networks cost", drawn(figure, "FLOPs of all networks of the space", "300px"),
             about=f"{counted}; blue ones fit the budget."),
    ]  # fmt: skip
    figure.update_shapes(line_color=GREY)
    return html.Div(cards, className="page halves inner", id=f"space-of-{study.born}")


@lru_cache(maxsize=16)
def reading(name: str, resolution: Any, budget: str, channels: int, classes: int) -> Any:
    """Facts about a space, the distribution of its costs, and whether its share is but bounded; read once."""
    space = at_resolution(find(name), resolution)
    try:
        feasible = Feasible(space, Budget.parse(budget) if budget else Budget(), channels, classes)
    except LanguageError:
        feasible = Feasible(space, Budget(), channels, classes)
    lattice = feasible.lattice
    (_, cheapest), (_, dearest) = lattice.extreme("flops"), lattice.extreme("flops", -1)
    least, most = feasible.share() if feasible.budget.limits else (1.0, 1.0)
    bounded = most - least >= 0.0005
    share = f"between {100 * least:.2f} and {percent(most)}" if bounded else percent(most)
    pairs = [
        ("Networks", html.Span(flops_histogram.counted(lattice.size()), className="whole")),
        ("Choices", str(len(space.holes))),
        ("Budget", str(feasible.budget) or "none"), ("Within the budget", share),
        ("Cheapest", f"{short(cheapest.flops)} FLOPs"), ("Dearest", f"{short(dearest.flops)} FLOPs"),
        ("Stages", str(len(space.template.stages))),
        ("Input", " to ".join(f"{r}" for r in sorted({space.resolutions[0], space.resolutions[-1]})) + " px"),
    ]  # fmt: skip
    return pairs, flops_histogram.data(feasible), bounded


def gaps(options: tuple[coverage.Option, ...]) -> str:
    """How much of the space's choices was tried."""
    never = [o for o in options if not o.tried]
    said = f"{len(options) - len(never)} of {len(options)} options were tried at least once."
    if never:
        shown = ", ".join(f"{words(o.path)} = {o.label}" for o in never[:6])
        said += f" Never: {shown}{f' and {len(never) - 6} more' if len(never) > 6 else ''}."
    return said
