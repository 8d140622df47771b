"""EfficientNet's question for any network: how should depth, width and resolution grow with the budget?"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Any

import dash_mantine_components as dmc
import numpy as np
from dash import Dash, Input, Output, Patch, State, dcc, html, no_update

from dashboard.figures import BLUE, contours, drawing, family, figure, measured
from dashboard.metrics import COSTS, percent
from dashboard.pages import networks
from dashboard.parts import aria, card, facts, graph, network, table
from dashboard.site import Site
from dashboard.studies import Study
from nas.figures import trade_offs
from nas.figures.trade_offs import Line, TradeOffs
from nas.words import short
from search_spaces import Arch, Cost, LanguageError, cost, zoo
from search_spaces.errors import ArchError
from search_spaces.scaling import marginal, scale

PATH, LABEL, ORDER = "/scaling", "Scaling", 30
FIRST = "zoo/efficientnet_b0"
ALPHA, BETA, GAMMA = 1.2, 1.1, 1.15
LOW, HIGH = 0.25, 4.0  # of each factor
AXES = (("depth", "Depth"), ("width", "Width"), ("resolution", "Resolution"))
COSTLY = ("flops", "macs", "params", "activations", "peak_activations")
PAUSE_S = 60.0  # laws of a study that is still being measured are fitted at most this often
FAMILY = (
    "B0 scaled by the compound rule; accuracies are of ImageNet, as published. The paper rounds the blocks of every "
    "stage up, the sliders keep their sum: at φ = 2, B3 has 26 blocks and the sliders' network 23."
)
COMMAND = "python -m nas.scale --zoo NAME --measure"


@dataclass(frozen=True)
class Base:
    """The network that is scaled, as it is deployed."""

    name: str
    arch: Arch
    in_channels: int = 3
    num_classes: int = 1000

    @property
    def cost(self) -> Cost:
        return cost(self.arch, self.in_channels, self.num_classes)


def layout() -> Any:
    return html.Div(
        [
            html.H1("Scaling", className="unseen"),
            html.Div([_controls(), _marginal()], className="stacked first"),
            card("Scaled network", html.Div(id="scaling-costs"), html.Pre(id="scaling-wrong", className="wrong",
                 **aria(live="polite")),
                 graph("scaling-drawing", "The scaled network, drawn to scale", "330px"),
                 html.Details([html.Summary("Text form"), html.Div(id="scaling-form")], open=True),
                 about=html.Span(id="scaling-about"), name="scaling-shown"),
            html.Div([_contours(), _measured()], className="stacked"),
            card("EfficientNet as a guide", graph("scaling-family", "Accuracy of EfficientNet B0 to B7 against FLOPs",
                 "300px"), guide(), about=FAMILY),
            dcc.Store(id="scaling-at"), dcc.Store(id="scaling-grid"),
        ],
        className="page halves",
    )  # fmt: skip


def _controls() -> Any:
    known = dmc.Select(
        id="scaling-network", label="Network", description="of the papers or on the front of a chosen study",
        searchable=True, data=[], value=FIRST, persistence=True, persistence_type="session", allowDeselect=False,
        nothingFoundMessage="No such network", maxDropdownHeight=340,
    )  # fmt: skip
    typed = dmc.Textarea(
        id="scaling-text", label="Or a network as text", description="while there is one here, it is the one scaled",
        autosize=True, minRows=1, maxRows=6, placeholder=networks.EXAMPLE, debounce=500, persistence=True,
        persistence_type="session",
    )  # fmt: skip
    marks = [{"value": n, "label": str(n)} for n in range(-4, 8)]
    phi = _slider("phi", "Compound φ", 0.0, -4, 7, 0.1, marks, f"{ALPHA}, {BETA}, {GAMMA} to the φ")
    factors = [{"value": n, "label": f"{n}×"} for n in (1, 2, 3, 4)]
    axes = [_slider(name, label, 1.0, LOW, HIGH, 0.05, factors, "times its own") for name, label in AXES]
    reset = html.Button("Back to the network", id="scaling-reset", className="button", n_clicks=0)
    return card(
        "Choose and scale", html.Div([known, typed], className="stack"), phi, *axes,
        html.P(id="scaling-sum", className="sum"),
        about="φ moves depth, width and resolution together; moved alone, they show the φ of the same budget.",
        tools=reset,
    )  # fmt: skip


def _slider(
    name: str, label: str, value: float, low: float, high: float, step: float, marks: list[dict[str, Any]], unit: str
) -> Any:
    slider = dmc.Slider(
        id=f"scaling-{name}", value=value, min=low, max=high, step=step, marks=marks, updatemode="drag",
        thumbLabel=label, precision=2, label=None, size="sm", restrictToMarks=False,
    )  # fmt: skip
    head = html.Div(
        [html.Span(label), html.Span(unit, className="quiet small"), html.Output(id=f"scaling-{name}-said")]
    )
    return html.Div([head, slider], className="slider")


def _marginal() -> Any:
    about = "To each cost of the network as chosen, in percent: exact, before channels are rounded."
    return card("What 1 % more adds", html.Div(id="scaling-marginal"), about=about)


def _contours() -> Any:
    about = "Every point is a whole network, counted at its own resolution; a diamond marks the sliders."
    figure = graph("scaling-contours", "FLOPs over depth and width", "430px")
    return card("Lines of equal FLOPs", dcc.Loading(figure, type="dot", delay_show=400, color=BLUE), about=about)


def _measured() -> Any:
    choose = dmc.Select(id="scaling-study", label="Measured study", data=[], value=None, size="xs", w=260,
                        allowDeselect=False)  # fmt: skip
    body = dcc.Loading(
        [graph("scaling-measured", "Measured accuracy against FLOPs in each direction", "340px"),
         html.Div(id="scaling-verdict")],
        type="dot", delay_show=400, color=BLUE,
    )  # fmt: skip
    words = html.P(id="scaling-unmeasured", className="quiet", **aria(live="polite"))
    return card("Measured", words, html.Div(body, id="scaling-curves"), about=html.Span(id="scaling-trained"),
                tools=html.Div(choose, id="scaling-studies"))  # fmt: skip


_FOLLOW = f"""function (phi, depth, width, resolution, reset) {{
    const by = (dash_clientside.callback_context.triggered[0] || {{}}).prop_id || '', keep = dash_clientside.no_update;
    const clip = x => Math.min({HIGH}, Math.max({LOW}, x)), round = (x, n) => Number(x.toFixed(n));
    let at = [phi, depth, width, resolution], told = [keep, keep, keep, keep];
    if (by.startsWith('scaling-phi')) {{
        at = [phi, ...[{ALPHA}, {BETA}, {GAMMA}].map(base => clip(round(Math.pow(base, phi), 4)))];
        told = [keep, ...at.slice(1)];
    }} else if (by.startsWith('scaling-reset')) {{
        at = told = [0, 1, 1, 1];
    }} else if (by) {{
        const budget = Math.log(depth * width * width * resolution * resolution);
        const law = Math.log({ALPHA} * {BETA} * {BETA} * {GAMMA} * {GAMMA});
        at[0] = Math.min(7, Math.max(-4, round(budget / law, 2)));
        told = [at[0], keep, keep, keep];
    }}
    const send = () => {{
        window.scalingSent = Date.now();
        dash_clientside.set_props('scaling-at', {{data: at.slice(1)}});
    }};
    window.clearTimeout(window.scalingWaits);
    window.scalingWaits = window.setTimeout(send, Math.max(0, (window.scalingSent || 0) + 120 - Date.now()));
    return [...told, at[0].toFixed(1), ...at.slice(1).map(x => x.toFixed(2) + '×')];
}}"""
"""Sliders follow one another in the browser; the server is told where they stand eight times a second at most."""


def register(app: Dash, site: Site) -> None:
    sliders = ("phi", *(name for name, _ in AXES))
    app.clientside_callback(  # type: ignore[no-untyped-call]
        _FOLLOW,
        *(Output(f"scaling-{name}", "value") for name in sliders),
        *(Output(f"scaling-{name}-said", "children") for name in sliders),
        *(Input(f"scaling-{name}", "value") for name in sliders),
        Input("scaling-reset", "n_clicks"),
    )

    @app.callback(Output("scaling-network", "data"), Input("version", "data"))
    def offer(version: Any) -> Any:
        return networks.offered(site.chosen(version))

    @app.callback(
        Output("scaling-costs", "children"),
        Output("scaling-wrong", "children"),
        Output("scaling-about", "children"),
        Output("scaling-drawing", "figure"),
        Output("scaling-drawing-said", "children"),
        Output("scaling-form", "children"),
        Output("scaling-family", "figure"),
        Output("scaling-sum", "children"),
        Input("scaling-at", "data"),
        Input("scaling-network", "value"),
        Input("scaling-text", "value"),
    )
    def show(at: Any, name: str | None, text: str | None) -> Any:
        base, wrong = chosen(site, name, text)
        return shown(base, factors(at)) if base else unshown(wrong, "")

    @app.callback(
        Output("scaling-contours", "figure"),
        Output("scaling-marginal", "children"),
        Output("scaling-grid", "data"),
        Input("scaling-network", "value"),
        Input("scaling-text", "value"),
        State("scaling-at", "data"),
    )
    def lay(name: str | None, text: str | None, at: Any) -> Any:
        base, wrong = chosen(site, name, text)
        if base is None:
            return blank(), html.P(wrong, className="quiet"), None
        grid = contours.data(base.arch, base.in_channels, base.num_classes)
        return contours.plot(grid, factors(at)[:2]), marginals(base), str(base.arch)

    @app.callback(
        Output("scaling-contours", "figure", allow_duplicate=True),
        Output("scaling-contours-said", "children"),
        Input("scaling-at", "data"),
        Input("scaling-grid", "data"),
        prevent_initial_call=True,
    )
    def mark(at: Any, grid: Any) -> Any:
        if not grid:
            return no_update, ""
        depth, width, _ = factors(at)
        change = Patch()
        change["data"][contours.MARKER]["x"], change["data"][contours.MARKER]["y"] = [depth], [width]
        across, up = contours.reach((depth, width))
        change["layout"]["xaxis"]["range"], change["layout"]["yaxis"]["range"] = across, up
        return change, f"The marker stands at depth × {depth:.2f} and width × {width:.2f}."

    @app.callback(
        Output("scaling-study", "data"),
        Output("scaling-study", "value"),
        Output("scaling-studies", "hidden"),
        Output("scaling-curves", "hidden"),
        Output("scaling-unmeasured", "children"),
        Input("version", "data"),
        State("scaling-study", "value"),
    )
    def list_measured(version: Any, value: str | None) -> Any:
        found = studies_measured(site)
        options = [{"value": key, "label": name} for key, name in found.items()]
        kept = value if value in found else next(iter(found), None)
        said = "" if found else f"No study of the open storages measured a network's scaling. {COMMAND} makes one."
        return options, kept, not found, not found, said

    @app.callback(
        Output("scaling-measured", "figure"),
        Output("scaling-measured-said", "children"),
        Output("scaling-trained", "children"),
        Output("scaling-verdict", "children"),
        Input("scaling-study", "value"),
        Input("version", "data"),
    )
    def measure(key: str | None, version: Any) -> Any:
        found = laws(site, key)
        if found is None:
            return blank(), "", "", None
        trained, judged = found
        said = f"{trained.study}: one network grown in each direction, trained on {trained.trained}."
        return measured.plot(trained), spoken(judged), said, judgement(judged)


# ------------------------------------------------------------------------------------ the network


def chosen(site: Site, name: str | None, text: str | None) -> tuple[Base | None, str]:
    """The network that is typed, or else the one chosen; or a sentence on what is wrong with it."""
    if (text or "").strip():
        found, wrong = networks.gathered(site, [], text)
        return (Base("typed", found["typed"]), "") if found else (None, wrong)
    key, _, rest = (name or "").rpartition("/")
    if key == "zoo" and rest in zoo.names():
        known = zoo.find(rest)
        return Base(rest, known.arch, known.in_channels, known.num_classes), ""
    picked = {"study": key, "trial": int(rest) if rest.isdecimal() and len(rest) < 10 else None}
    at, row = site.picked(picked), site.row(picked)
    if at is None or row is None:
        return None, "Choose a network, or type one."
    meta = at[0].meta
    return Base(f"trial {row.number} of {at[0].name}", row.arch, meta["in_channels"], meta["num_classes"]), ""


def factors(at: Any) -> tuple[float, float, float]:
    """Depth, width and resolution as a page names them, kept within the sliders; 1 where it names none."""
    given = at if isinstance(at, list) and len(at) == 3 else [1, 1, 1]
    depth, width, resolution = (
        min(HIGH, max(LOW, float(x))) if isinstance(x, int | float) and x == x else 1.0 for x in given
    )
    return depth, width, resolution


def shown(base: Base, at: tuple[float, float, float]) -> tuple[Any, ...]:
    """The scaled network: costs, drawing, words, text form, and its place beside EfficientNet."""
    about = f"{base.name} at depth × {at[0]:.2f}, width × {at[1]:.2f}, resolution × {at[2]:.2f}"
    try:
        scaled = scale(base.arch, *at)
        blocks = drawing.data(scaled, base.in_channels, base.num_classes)
        now = cost(scaled, base.in_channels, base.num_classes)
    except LanguageError as error:
        return unshown(f"There is no such network: {error}", about)
    times = f"{now.flops / base.cost.flops:.2f}"
    summed = f"{short(now.flops)} FLOPs, {times}× · {scaled.depth} blocks · {scaled.resolution} px"
    said = drawing.sentence(scaled, base.in_channels, base.num_classes, blocks)
    spoken = f"{short(now.flops)} FLOPs, {times} times the network's. {said}."
    return (
        facts(costs(base, scaled, now)), "", about, drawing.plot(blocks), spoken, network.text(scaled, "scaling-form"),
        family.plot(family.data(), now.flops), summed,
    )  # fmt: skip


def unshown(wrong: str, about: str) -> tuple[Any, ...]:
    """Why there is nothing to draw."""
    return None, wrong, about, blank(), "", None, family.plot(family.data()), ""


def blank() -> Any:
    """A figure with nothing on it."""
    return figure(xaxis={"visible": False}, yaxis={"visible": False})


def costs(base: Base, scaled: Arch, now: Cost) -> list[tuple[str, Any]]:
    """Exact costs with their ratio to the base's, and the shape."""
    before = base.cost
    pairs: list[tuple[str, Any]] = []
    for name in COSTLY:
        value, first = getattr(now, name), getattr(before, name)
        ratio = html.Span(f" {value / first:.2f}×", className="quiet") if first else ""
        pairs.append((COSTS[name].label.replace("Peak memory", "Peak activations"), [short(value), ratio]))
    return [
        *pairs,
        ("Blocks", [str(scaled.depth), html.Span(f" of {base.arch.depth}", className="quiet")]),
        ("Input", [f"{scaled.resolution} px", html.Span(f" of {base.arch.resolution}", className="quiet")]),
    ]


@lru_cache(maxsize=64)
def _marginals(arch: Arch, in_channels: int, num_classes: int) -> dict[str, dict[str, float]]:
    return {name: marginal(arch, name, in_channels, num_classes) for name in COSTLY}


def marginals(base: Base) -> Any:
    """What 1 % more of each axis adds, or why that cannot be told."""
    try:
        found = _marginals(base.arch, base.in_channels, base.num_classes)
    except ArchError as error:
        return html.P(f"The laws are read off two and three times the network, which cannot be: {error}",
                      className="quiet")  # fmt: skip
    heads = ["1 % more", *(COSTS[name].label.replace("Peak memory", "Peak act.") for name in COSTLY)]
    rows = [[label, *(f"{found[name][axis]:+.2f} %" for name in COSTLY)] for axis, label in AXES]
    return table(heads, rows, "What 1 % more of each axis adds to each cost", numbers=1)


# --------------------------------------------------------------------------------------- measured


def studies_measured(site: Site) -> dict[str, str]:
    """The networks whose scaling was measured, by `study key` and number of the base: whatever is chosen above."""
    found = {}
    for key, study in site.studies.look().items():
        if study.meta.get("space") == "scale":
            site.studies.get([key])
            for i, _ in enumerate(_bases(study)):
                found[f"{key}/{i}"] = study.name + (f", network {i + 1}" if i else "")
    return found


def _bases(study: Study) -> list[str]:
    """The texts of the networks that were grown in a study, in the order of their first trial."""
    return list(dict.fromkeys(str(c.attrs["base"]) for c in study.stored.candidates() if c.attrs.get("base")))


_LAWS: dict[str, tuple[str, float, tuple[TradeOffs, list[dict[str, Any]]]]] = {}
"""By study and network: of which trials, when, and what. Fitting with intervals takes seconds."""
_FITTING = Lock()


def laws(site: Site, key: str | None) -> tuple[TradeOffs, list[dict[str, Any]]] | None:
    """The measured curves and what their laws say at twice the cost."""
    name, _, place = (key or "").rpartition("/")
    found = site.studies.get([name]) if place.isdecimal() else []
    bases = _bases(found[0]) if found else []
    if not found or int(place) >= len(bases):
        return None
    study, mark = found[0], f"{found[0].born}-{len(found[0].rows)}"
    with _FITTING:
        kept = _LAWS.get(str(key))
        if kept and (kept[0] == mark or (kept[0].startswith(study.born) and time.monotonic() - kept[1] < PAUSE_S)):
            return kept[2]
        traced = trade_offs.data(study.stored, Arch.parse(bases[int(place)]))
        judged = (_at_twice(line, traced.base_millions) for line in traced.lines)
        made = traced, sorted((row for row in judged if row), key=lambda row: -row["accuracy"])
        _LAWS[str(key)] = (mark, time.monotonic(), made)
    return made


def _at_twice(line: Line, base_millions: float) -> dict[str, Any] | None:
    """The law and its interval at twice the base's FLOPs, where it was measured that far."""
    at = 2 * base_millions
    if not line.grid or not line.grid[0] <= at <= line.grid[-1]:
        return None
    values = {"accuracy": line.law, "low": line.low, "high": line.high}
    return {"axis": line.axis, **{k: float(np.interp(np.log(at), np.log(line.grid), v)) for k, v in values.items()}}


def judgement(rows: list[dict[str, Any]]) -> Any:
    """What each direction's law says at twice the cost, the best first, and whether they can be told apart."""
    if not rows:
        return html.P("Laws need three costs in a direction, on both sides of twice the network's FLOPs.",
                      className="quiet")  # fmt: skip
    body = [
        [r["axis"].capitalize(), percent(r["accuracy"]), f"{percent(r['low'])} to {percent(r['high'])}"] for r in rows
    ]
    best, rest = rows[0], rows[1:]
    apart = all(r["high"] < best["low"] for r in rest)
    said = (
        "No other interval reaches the first one." if apart else "The intervals overlap: these do not tell them apart."
    )
    heads = ["At twice the FLOPs", "Accuracy by its law", "95 % interval"]
    return [table(heads, body, "Accuracy of each direction at twice the FLOPs", numbers=1),
            html.P(said if rest else "", className="quiet small")]  # fmt: skip


def spoken(rows: list[dict[str, Any]]) -> str:
    """The same in one sentence."""
    return "At twice the FLOPs: " + ", ".join(f"{r['axis']} {percent(r['accuracy'])}" for r in rows) if rows else ""


# ------------------------------------------------------------------------------------------ guide


def guide() -> Any:
    """B0 to B7 as a table."""
    base = family.data()[0]
    rows = [
        [m.name, f"{m.phi:g}", f"{m.resolution} px", str(m.depth), short(m.flops), f"{m.flops / base.flops:.1f}×",
         short(m.macs), short(m.params), f"{m.top1:.1f} %"]
        for m in family.data()
    ]  # fmt: skip
    heads = ["", "φ", "Input", "Blocks", "FLOPs", "of B0's", "MACs", "Params", "Top-1"]
    return table(heads, rows, "EfficientNet B0 to B7 with published accuracies", numbers=1)
