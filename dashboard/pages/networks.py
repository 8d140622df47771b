"""Any networks side by side: of the papers, of a study, or typed in – drawn to one scale, their costs compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import Dash, Input, Output, dcc, html

from dashboard.figures import drawing, spending
from dashboard.loading import BASIC
from dashboard.metrics import COSTS, Metric
from dashboard.parts import card, drawn, empty, field, network, settle, table, written
from dashboard.parts.choosing import EXAMPLE, gathered, offered
from dashboard.site import Site
from dashboard.studies import Study
from nas.words import short
from search_spaces import Arch, Cost, cost, zoo

PATH, LABEL, ORDER = "/networks", "Compare", 20
SCRIPTS = (BASIC,)
MOST = 4
FIRST = ["zoo/mobilenet_v2", "zoo/efficientnet_b0"]


def layout(studies: Sequence[Study]) -> Any:
    known = dcc.Dropdown(
        id="networks-chosen", options=offered(studies), multi=True, value=FIRST, persistence=True,
        persistence_type="session", maxHeight=340,
    )  # fmt: skip
    chosen = field("Networks", known, f"of the papers and of the chosen studies, at most {MOST}")
    typed = written("networks-text", "Or a network as text", "resolution | stem | stages | head", EXAMPLE, rows=3)
    return html.Div(
        [
            html.H1("Networks", className="unseen"),
            card("Compare networks", html.Div([chosen, typed], className="form"), html.Pre(id="networks-wrong",
            className="wrong"),
                 about="Costs are exact and follow at once; nothing is built or trained."),
            html.Div(id="networks-shown", className="shown"),
        ],
        className="page",
    )  # fmt: skip


def register(app: Dash, site: Site) -> None:
    @app.callback(Output("networks-chosen", "options"), Input("version", "data"))
    def offer(version: Any) -> Any:
        return offered(site.chosen(version))

    @app.callback(
        Output("networks-shown", "children"),
        Output("networks-wrong", "children"),
        Input("networks-chosen", "value"),
        settle(app, "networks-text"),
    )
    def show(value: list[str] | None, text: str | None) -> Any:
        networks, wrong = gathered(site, (value or [])[:MOST], text)
        return shown(networks) if networks else empty("Choose a network, or type one."), wrong


def shown(networks: Mapping[str, Arch]) -> list[Any]:
    """The comparison, then each network in full."""
    blocks = [drawing.data(arch) for arch in networks.values()]
    widest = max(b.width for some in blocks for b in some[:-1])
    deepest = max(len(some) for some in blocks)
    return [
        card("Costs", comparison(networks), about="For 3 channels and 1,000 classes, each at its own resolution."),
        card("Where the FLOPs go", drawn(spending.plot(spending.data(networks)), "FLOPs by side of the map",
                                         f"{130 + 44 * len(networks)}px"),
             about="By the side of the map, as a part of the input's: 1/32 of 224 px is 7 px."),
        html.Div([_one(name, arch, widest, deepest) for name, arch in networks.items()], className="page halves inner"),
    ]  # fmt: skip


def comparison(networks: Mapping[str, Arch]) -> Any:
    """A column a network; others than the first also as a multiple of it."""
    costs = {name: cost(arch) for name, arch in networks.items()}
    first = next(iter(costs.values()))
    rows: list[list[Any]] = [
        [_label(m), *(_cell(c, first, m.name) for c in costs.values())]
        for m in COSTS.values()
        if m.name != "latency_ms"
    ]
    rows.append(["Size in fp32", *(f"{c.size_bytes / 1e6:.4g} MB" for c in costs.values())])
    rows.append(["Input", *(f"{a.resolution} px" for a in networks.values())])
    rows.append(["Blocks", *(str(a.depth) for a in networks.values())])
    published = {name: zoo.find(name).published.top1 for name in networks if name in zoo.names()}
    if any(published.values()):
        top1 = (published.get(name) for name in networks)
        rows.append(["ImageNet top-1, published", *(f"{value:.1f} %" if value else "–" for value in top1)])
    return table(["", *networks], rows, "Costs of the networks", numbers=1)


def _label(metric: Metric) -> str:
    return f"{metric.label} (elements)" if "elements" in metric.unit else metric.label


def _cell(own: Cost, first: Cost, name: str) -> Any:
    value, base = getattr(own, name), getattr(first, name)
    if own is first or not base:
        return short(value)
    return [short(value), html.Span(f" {value / base:.2f}×", className="quiet")]


def _one(name: str, arch: Arch, widest: int, deepest: int) -> Any:
    text, ledger = network.text(arch, "one"), network.ledger_table(arch, 3, 1000)
    return card(
        name, network.picture(arch, 3, 1000, widest, deepest),
        html.Details([html.Summary("Text form"), text]), html.Details([html.Summary("Cost of each block"), ledger]),
        about=drawing.sentence(arch),
    )  # fmt: skip
