"""EfficientNet's question for any network: how should depth, width and resolution grow with the budget?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, Patch, State, dcc, html, no_update

from dashboard.figures import BLUE, contours, measured
from dashboard.loading import PLOTLY
from dashboard.parts import aria, card, field, graph, settle, written
from dashboard.parts.choosing import EXAMPLE, offered
from dashboard.parts.laws import judgement, laws, spoken, studies_measured
from dashboard.parts.scaled import AXES, HIGH, LOW, blank, chosen, factors, guide, marginals, shown, unshown
from dashboard.site import Site
from dashboard.studies import Study

PATH, LABEL, ORDER = "/scaling", "Scaling", 30
SCRIPTS = (PLOTLY,)
FIRST = "zoo/efficientnet_b0"
ALPHA, BETA, GAMMA = 1.2, 1.1, 1.15
SHRUNK, GROWN = -4, 7  # φ
FAMILY = (
    "B0 scaled by the compound rule; accuracies are of ImageNet, as published. The paper rounds the blocks of every "
    "stage up, the sliders keep their sum: at φ = 2, B3 has 26 blocks and the sliders' network 23."
)
COMMAND = "python -m nas.scale --zoo NAME --measure"


def layout(studies: Sequence[Study]) -> Any:
    law = {"coefficients": [ALPHA, BETA, GAMMA], "phi": [SHRUNK, GROWN], "factors": [LOW, HIGH]}
    return html.Div(
        [
            html.H1("Scaling", className="unseen"),
            html.Div([_controls(studies), _marginal()], className="stacked first"),
            card("Scaled network", html.Div(id="scaling-costs"), html.Pre(id="scaling-wrong", className="wrong",
                 **aria(live="polite")),
                 graph("scaling-drawing", "The scaled network, drawn to scale", "330px"),
                 html.Details([html.Summary("Text form"), html.Div(id="scaling-form")], open=True),
                 about=html.Span(id="scaling-about"), name="scaling-shown"),
            html.Div([_contours(), _measured()], className="stacked"),
            card("EfficientNet as a guide", graph("scaling-family", "Accuracy of EfficientNet B0 to B7 against FLOPs",
                 "300px"), guide(), about=FAMILY),
            dcc.Store(id="scaling-law", data=law), dcc.Store(id="scaling-at"), dcc.Store(id="scaling-grid"),
        ],
        className="page halves",
    )  # fmt: skip


def _controls(studies: Sequence[Study]) -> Any:
    known = dcc.Dropdown(
        id="scaling-network", options=offered(studies), value=FIRST, clearable=False, persistence=True,
        persistence_type="session", maxHeight=340,
    )  # fmt: skip
    chosen = field("Network", known, "of the papers or on the front of a chosen study")
    typed = written("scaling-text", "Or a network as text", "while there is one here, it is the one scaled", EXAMPLE, 2)
    phi = _slider("phi", "Compound φ", 0, SHRUNK, GROWN, 0.1, f"{ALPHA}, {BETA}, {GAMMA} to the φ")
    axes = [_slider(name, label, 1, LOW, HIGH, 0.05, "times its own") for name, label in AXES]
    reset = html.Button("Back to the network", id="scaling-reset", className="button", n_clicks=0)
    return card(
        "Choose and scale", html.Div([chosen, typed], className="stack"), phi, *axes,
        html.P(id="scaling-sum", className="sum"),
        about="φ moves depth, width and resolution together; moved alone, they show the φ of the same budget.",
        tools=reset,
    )  # fmt: skip


def _slider(name: str, label: str, value: float, low: float, high: float, step: float, unit: str) -> Any:
    """The browser's own slider: keyboards, phones and screen readers know it."""
    head = html.Div([
        html.Label(label, htmlFor=f"scaling-{name}"), html.Span(unit, className="quiet small"),
        html.Output(id=f"scaling-{name}-said"),
    ])  # fmt: skip
    ends = html.Div([html.Span(f"{low:g}"), html.Span(f"{high:g}")], className="ends quiet", **aria(hidden="true"))
    slider = dcc.Input(id=f"scaling-{name}", type="range", value=value, min=low, max=high, step=step)
    return html.Div([head, slider, ends], className="slider")


def _marginal() -> Any:
    about = "To each cost of the network as chosen, in percent: exact, before channels are rounded."
    return card("What 1 % more adds", html.Div(id="scaling-marginal"), about=about)


def _contours() -> Any:
    about = "Every point is a whole network, counted at its own resolution; a diamond marks the sliders."
    figure = graph("scaling-contours", "FLOPs over depth and width", "430px")
    return card("Lines of equal FLOPs", dcc.Loading(figure, type="dot", delay_show=400, color=BLUE), about=about)


def _measured() -> Any:
    body = dcc.Loading(
        [graph("scaling-measured", "Measured accuracy against FLOPs in each direction", "340px"),
         html.Div(id="scaling-verdict")],
        type="dot", delay_show=400, color=BLUE,
    )  # fmt: skip
    words = html.P(id="scaling-unmeasured", className="quiet", **aria(live="polite"))
    choose = html.Div(
        field("Measured study", dcc.Dropdown(id="scaling-study", options=[], clearable=False)), id="scaling-studies"
    )
    return card("Measured", words, html.Div(body, id="scaling-curves"), about=html.Span(id="scaling-trained"),
                tools=choose)  # fmt: skip


def register(app: Dash, site: Site) -> None:
    sliders = [f"scaling-{name}" for name in ("phi", *(name for name, _ in AXES))]
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("dashboard", "follow"),
        *(Output(name, "value") for name in sliders),
        *(Output(f"{name}-said", "children") for name in sliders),
        *(Input(name, "value") for name in sliders),
        Input("scaling-reset", "n_clicks"),
        State("scaling-law", "data"),
    )

    @app.callback(Output("scaling-network", "options"), Input("version", "data"))
    def offer(version: Any) -> Any:
        return offered(site.chosen(version))

    text = settle(app, "scaling-text")
    _register_network(app, site, text)
    _register_contours(app, site, text)
    _register_measured(app, site)


def _register_network(app: Dash, site: Site, text: Input) -> None:
    @app.callback(
        Output("scaling-costs", "children"),
        Output("scaling-wrong", "children"),
        Output("scaling-about", "children"),
        Output("scaling-drawing", "figure"),
        Output("scaling-drawing-said", "children"),
        Output("scaling-form", "children"),
        Output("scaling-family", "figure"),
        Output("scaling-family-said", "children"),
        Output("scaling-sum", "children"),
        Input("scaling-at", "data"),
        Input("scaling-network", "value"),
        text,
    )
    def show(at: Any, name: str | None, text: str | None) -> Any:
        base, wrong = chosen(site, name, text)
        return shown(base, factors(at)) if base else unshown(wrong, "")


def _register_contours(app: Dash, site: Site, text: Input) -> None:
    @app.callback(
        Output("scaling-contours", "figure"),
        Output("scaling-marginal", "children"),
        Output("scaling-grid", "data"),
        Input("scaling-network", "value"),
        text,
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


def _register_measured(app: Dash, site: Site) -> None:
    @app.callback(
        Output("scaling-study", "options"),
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
