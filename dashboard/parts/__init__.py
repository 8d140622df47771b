"""What pages are put together from."""

from __future__ import annotations

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html

from dashboard.figures import CONFIG, PLAIN
from dashboard.studies import Study


def aria(**names: Any) -> dict[str, Any]:
    """What assistive technology reads: `**aria(label="…", live="polite")`."""
    return {f"aria-{name}": value for name, value in names.items()}


def card(title: str, *children: Any, about: Any = "", tools: Any = None, name: str = "", wide: bool = False) -> Any:
    """A part of a page with a heading, a quiet sentence below it and tools at its right."""
    head = html.Div(
        [
            html.Div([html.H2(title), html.P(about, className="quiet") if about != "" else None]),
            html.Div(tools, className="tools"),
        ],
        className="card-head",
    )
    extra: dict[str, Any] = {"id": name} if name else {}
    return html.Section([head, *children], className="card wide" if wide else "card", **aria(label=title), **extra)


def graph(name: str, label: str, height: str = "420px", tools: bool = False) -> Any:
    """A figure with a name for those who do not see it; its words stand in `name-said`, told when they change."""
    return html.Div(
        [
            dcc.Graph(id=name, config=CONFIG if tools else PLAIN, style={"height": height}, responsive=True),
            html.P(id=f"{name}-said", className="unseen", **aria(live="polite")),
        ],
        role="group",
        **aria(label=label),
    )


def drawn(figure: Any, label: str, height: str = "320px") -> Any:
    """A figure that comes ready."""
    return html.Div(dcc.Graph(figure=figure, config=PLAIN, style={"height": height}, responsive=True),
                    role="img", **aria(label=label))  # fmt: skip


def facts(pairs: list[tuple[str, Any]]) -> Any:
    """Names and values, as many beside each other as there is room for."""
    return html.Dl([html.Div([html.Dt(name), html.Dd(value)]) for name, value in pairs], className="facts")


def table(heads: list[str], rows: list[list[Any]], label: str, numbers: int = 0) -> Any:
    """A table whose columns from `numbers` on are right-aligned."""
    kinds = ["" if i < numbers else "number" for i in range(len(heads))]
    head = html.Tr([html.Th(text, className=kind, scope="col") for text, kind in zip(heads, kinds, strict=True)])
    body = [html.Tr([html.Td(cell, className=kind) for cell, kind in zip(row, kinds, strict=True)]) for row in rows]
    return html.Div(
        html.Table([html.Thead(head), html.Tbody(body)], **aria(label=label)),
        className="scroll", tabIndex=0, role="region", **aria(label=label),
    )  # fmt: skip


def empty(text: str, command: str = "") -> Any:
    """What stands where there is nothing to show yet, and what to do about it."""
    return html.Div([html.P(text), html.Pre(command) if command else None], className="empty")


def choice(name: str, label: str, options: list[tuple[str, str]], value: str) -> Any:
    """A few options side by side; on a phone, where they do not fit, they scroll."""
    control = dcc.RadioItems([{"value": v, "label": text} for v, text in options], value, id=name, inline=True)
    return html.Div(control, className="choice", role="group", **aria(label=label))


def field(label: str, control: Any, about: str = "") -> Any:
    """Something to fill in, with its label. (A `dcc.Dropdown` forgets a value that its options do not have.)"""
    words = [html.Span(label), html.Span(about, className="quiet small") if about else None]
    return html.Div([html.Label(words, htmlFor=control.id), control], className="field")


def written(name: str, label: str, about: str, example: str, rows: int) -> Any:
    """A field for text that is kept while the browser's tab is open; callbacks read it by `settle`."""
    area = dcc.Textarea(id=name, rows=rows, placeholder=example, persistence=True, persistence_type="session")
    return html.Div([field(label, area, about), dcc.Store(id=f"{name}-settled")])


def settle(app: Dash, name: str) -> Input:
    """What callbacks read of a field for text: what stands there half a second after the last key."""
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("dashboard", "settle"),
        Output(f"{name}-settled", "data"),
        Input(name, "value"),
        State(f"{name}-settled", "id"),
    )
    return Input(f"{name}-settled", "data")


def state(kind: str) -> Any:
    """A trial's state as a coloured word."""
    return html.Span(kind, className=f"state {kind}")


def best(study: Study, number: int) -> Any:
    """A mark beside the network that `--best` takes."""
    is_it = study.best is not None and study.best.number == number
    return html.Span("best", className="state best") if is_it else None


def pick(key: str, number: int, text: Any, label: str = "") -> Any:
    """A button that opens a trial."""
    extra = aria(label=label) if label else {}
    return html.Button(text, id={"type": "pick", "study": key, "trial": number}, className="pick", n_clicks=0, **extra)
