"""Where FLOPs lie: what blocks and networks take on a device, by the tables that were measured there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import Dash, Input, Output, dcc, html

from dashboard.figures import CLEAR, TEXT, template
from dashboard.loading import PLOTLY
from dashboard.parts import card, drawn, empty, field, network, table
from dashboard.site import Site
from dashboard.studies import Study
from nas.errors import UserError
from nas.figures import latency
from nas.latency.table import TABLES, Table, read
from search_spaces.arch import Arch

PATH, LABEL, ORDER = "/latency", "Latency", 45
SCRIPTS = (PLOTLY,)
COMMAND = "python -m nas.latency --space mobile --build cpu"
ENDS = ("Most time for its FLOPs", "Least time for its FLOPs")


def layout(studies: Sequence[Study]) -> Any:
    names = [path.stem for path in sorted(TABLES.glob("*.json"))]
    if not names:
        missing = empty(f"No table of latencies lies in {TABLES}. One is measured by", COMMAND)
        return html.Div([html.H1("Latency", className="unseen"), missing], className="page")
    menu = dcc.Dropdown(names, names[0], id="latency-table", clearable=False, searchable=False)
    return html.Div(
        [
            html.H1("Latency", className="unseen"),
            html.Div(field("Table", menu), className="tools"),
            html.Div(id="latency-shown"),
        ],
        className="page",
    )


def register(app: Dash, site: Site) -> None:
    @app.callback(Output("latency-shown", "children"), Input("latency-table", "value"))
    def show(name: str | None) -> Any:
        # only names that lie in the folder: no path of a browser's reaches the file system
        if not name or name not in {path.stem for path in TABLES.glob("*.json")}:
            return empty("Choose a table.")
        try:
            return shown(read(name))
        except UserError as error:
            return empty(str(error))


def shown(found: Table) -> Any:
    """The figure, its table, and the networks at both ends."""
    latencies = latency.data(found)
    figure = latency.plot(latencies)
    legend = {"orientation": "v", "x": 1.01, "xanchor": "left", "y": 1, "yanchor": "top"}
    figure.update_layout(template=template(), title=None, paper_bgcolor=CLEAR, plot_bgcolor=CLEAR, legend=legend)
    figure.update_traces(marker_color=TEXT, selector=lambda trace: trace.name.startswith(latency.NETWORKS))
    rows = [
        [name.replace("_", " "), count, f"{rate:.2f}", f"{least:.2f}", f"{most:.2f}"]
        for name, count, rate, least, most in latencies.rows
    ]
    heads = ["Family", "Timed", "Median, in G", "Least", "Most"]
    return html.Div(
        [
            card("FLOPs against latency", drawn(figure, "Latency of blocks and networks against their FLOPs", "460px"),
                 about=f"{found}. Where a family lies above another at equal FLOPs, its FLOPs are slower.", wide=True),
            card("FLOPs a second", table(heads, rows, "FLOPs a second", 1), wide=True,
                 about="Of each family's blocks as parts of running networks, and of whole networks."),
            *_ends(latencies.ends, found),
        ],
        className="page halves inner",
    )  # fmt: skip


def _ends(ends: tuple[latency.End, ...], found: Table) -> list[Any]:
    """The networks at both ends, drawn to one scale."""
    archs = [Arch.parse(end.arch) for end in ends]
    widest = max((stage.width for arch in archs for stage in arch.stages), default=1)
    deepest = 2 + max((arch.depth for arch in archs), default=0)  # stem and head are drawn too
    drawings = zip(ENDS, ends, archs, strict=False)
    return [_end(title, end, arch, found, widest, deepest) for title, end, arch in drawings]


def _end(title: str, end: latency.End, arch: Arch, found: Table, widest: int, deepest: int) -> Any:
    whole = next(n for n in found.networks if n.arch == end.arch)
    return card(
        title,
        network.picture(arch, whole.in_channels, whole.num_classes, widest, deepest),
        network.text(arch, f"latency-{title.split()[0].lower()}"),
        about=f"{end.mflops:,.1f}M FLOPs in {end.ms:.3g} ms, {end.gflops_a_second:.2f}G a second.",
    )
