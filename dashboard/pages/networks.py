"""Any networks side by side: of the papers, of a study, or typed in – drawn to one scale, their costs compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, html

from dashboard.figures import drawing, spending
from dashboard.metrics import COSTS, Metric, percent
from dashboard.parts import card, drawn, empty, network, table
from dashboard.site import Site
from dashboard.studies import Study
from nas.words import short
from search_spaces import Arch, Cost, LanguageError, cost, zoo

PATH, LABEL, ORDER = "/networks", "Compare", 20
MOST = 4
FIRST = ["zoo/mobilenet_v2", "zoo/efficientnet_b0"]
EXAMPLE = (
    "r224 | conv_stem(width=32) | inverted_residual(expand=1) c16 | inverted_residual c24 n2 s2 | pool_head(width=1280)"
)
LONGEST = 20_000  # characters of a typed text


def layout() -> Any:
    known = dmc.MultiSelect(
        id="networks-chosen", label="Networks", description=f"of the papers and of the chosen studies, at most {MOST}",
        searchable=True, maxValues=MOST, data=[], value=FIRST, persistence=True, persistence_type="session",
        nothingFoundMessage="No such network",
        maxDropdownHeight=340,
    )  # fmt: skip
    typed = dmc.Textarea(
        id="networks-text", label="Or a network as text", description="resolution | stem | stages | head",
        autosize=True,
        minRows=2, maxRows=8, placeholder=EXAMPLE, debounce=500, persistence=True, persistence_type="session",
    )  # fmt: skip
    return html.Div(
        [
            html.H1("Networks", className="unseen"),
            card("Compare networks", html.Div([known, typed], className="form"), html.Pre(id="networks-wrong",
            className="wrong"),
                 about="Costs are exact and follow at once; nothing is built or trained."),
            html.Div(id="networks-shown", className="shown"),
        ],
        className="page",
    )  # fmt: skip


def register(app: Dash, site: Site) -> None:
    @app.callback(
        Output("networks-chosen", "data"),
        Input("version", "data"),
        Input("picked", "data"),
        State("networks-chosen", "value"),
    )
    def offer(version: Any, picked: Any, value: Any) -> Any:
        return offered(site.chosen(version))

    @app.callback(
        Output("networks-shown", "children"),
        Output("networks-wrong", "children"),
        Input("networks-chosen", "value"),
        Input("networks-text", "value"),
    )
    def show(value: list[str] | None, text: str | None) -> Any:
        networks, wrong = gathered(site, value or [], text)
        return shown(networks) if networks else empty("Choose a network, or type one."), wrong


def offered(studies: Sequence[Study]) -> list[dict[str, Any]]:
    """The networks of a menu: the fronts of studies, then the papers'."""
    groups = [group(study) for study in studies]
    papers = [{"value": f"zoo/{name}", "label": name} for name in zoo.names()]
    return [g for g in groups if g["items"]] + [{"group": "Papers", "items": papers}]


def group(study: Study) -> dict[str, Any]:
    """The front of a study as a group of the menu, the best first."""
    columns = study.columns("flops")
    items = [
        {
            "value": f"{study.key}/{row.number}",
            "label": f"trial {row.number} · {percent(row.accuracy)} · {short(row.cost.flops)}",
        }
        for row in (columns.rows[i] for i in reversed(columns.front))
    ]
    return {"group": study.name, "items": items}


def gathered(site: Site, names: list[str], text: str | None) -> tuple[dict[str, Arch], str]:
    """The networks by name, and what is wrong with the typed one."""
    found = {label: arch for name in names[:MOST] for label, arch in _known(site, name)}
    if not (text or "").strip():
        return found, ""
    assert text is not None
    try:
        if len(text) > LONGEST:
            return found, f"a network's text may have {LONGEST:,} characters, but got {len(text):,}"
        arch = Arch.parse(" ".join(text.split()))
        arch.check()
    except LanguageError as error:
        return found, str(error)
    return {**found, "typed": arch}, ""


def _known(site: Site, name: str) -> list[tuple[str, Arch]]:
    key, _, rest = name.rpartition("/")
    if key == "zoo" and rest in zoo.names():
        return [(rest, zoo.find(rest).arch)]
    row = site.row({"study": key, "trial": int(rest)}) if rest.isdecimal() and len(rest) < 10 else None
    return [(f"{key} trial {row.number}", row.arch)] if row else []


def shown(networks: Mapping[str, Arch]) -> list[Any]:
    """The comparison, then each network in full."""
    blocks = [drawing.data(arch) for arch in networks.values()]
    widest = max(b.width for some in blocks for b in some[:-1])
    deepest = max(len(some) for some in blocks)
    return [
        card("Costs", comparison(networks), about="For 3 channels and 1,000 classes, each at its own resolution."),
        card("Where the FLOPs go", drawn(spending.plot(spending.data(networks)), "FLOPs by side of the map",
                                         f"{130 + 44 * len(networks)}px")),
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
