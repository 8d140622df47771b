"""A network in full: drawing, text form, cost ledger block by block."""

from __future__ import annotations

from typing import Any

from dash import dcc, html

from dashboard.figures import drawing
from dashboard.parts import aria, drawn, facts
from nas.words import short
from search_spaces import Arch, Cost, ledger

COLUMNS = ("Block", "In → out", "FLOPs", "Share", "MACs", "Params", "Activations", "Not counted")


def costs(cost: Cost) -> list[tuple[str, Any]]:
    """The exact costs, as pairs for `facts`."""
    return [
        ("FLOPs", short(cost.flops)), ("MACs", short(cost.macs)), ("Parameters", short(cost.params)),
        ("Size in fp32", f"{cost.size_bytes / 1e6:.4g} MB"), ("Activations", short(cost.activations)),
        ("Peak activations", f"{short(cost.peak_activations)}, {cost.peak_activations * 4 / 1e6:.3g} MB in fp32"),
    ]  # fmt: skip


def picture(arch: Arch, channels: int, classes: int, widest: int | None = None, deepest: int | None = None) -> Any:
    """The drawing, and what it shows in words."""
    figure = drawing.plot(drawing.data(arch, channels, classes), widest, deepest)
    return drawn(figure, drawing.sentence(arch, channels, classes), "330px")


def text(arch: Arch, name: str) -> Any:
    """The text form a stage a line, with a button that copies it."""
    lines = str(arch).replace(" | ", " |\n")
    copy = dcc.Clipboard(content=str(arch), className="copy", title="Copy the text form")
    return html.Div([html.Pre(lines, id=f"{name}-text"), copy], className="text-form")


def ledger_table(arch: Arch, channels: int, classes: int) -> Any:
    """One row a block under the text of its stage; bars show where the FLOPs go."""
    rows = ledger(arch, channels, classes)
    total = sum((row.cost for row in rows), Cost())
    body, part = [], ""
    texts = {f"stage{i}": str(stage) for i, stage in enumerate(arch.stages, 1)}
    for row in rows:
        here, _, _ = row.name.partition(".")
        if here != part:
            part = here
            heading = f"{_spaced(here)}: {texts.get(here, row.text)}"
            body.append(html.Tr(html.Th(heading, colSpan=len(COLUMNS), scope="rowgroup"), className="stage"))
        body.append(_ledger_row(row, total))
    sums = [short(total.flops), "100 %", short(total.macs), short(total.params), short(total.activations), ""]
    body.append(html.Tr([html.Th("Total", scope="row"), html.Td(""), *(html.Td(s, className="number") for s in sums)],
                        className="total"))  # fmt: skip
    head = html.Tr(
        [html.Th(text, scope="col", className="number" if 1 < i < 7 else "") for i, text in enumerate(COLUMNS)]
    )
    inner = html.Table([html.Thead(head), html.Tbody(body)], className="ledger")
    return html.Div(inner, className="scroll", tabIndex=0, role="region", **aria(label="Cost of each block"))


def _spaced(part: str) -> str:
    number = part.removeprefix("stage")
    return f"Stage {number}" if number.isdecimal() else part.capitalize()


def _ledger_row(row: Any, total: Cost) -> Any:
    share = 100 * row.cost.flops / max(1, total.flops)
    shapes = " → ".join(
        f"{s.channels}×{s.height}²" if s.height > 1 else str(s.channels) for s in (row.input, row.output)
    )
    left = ", ".join(f"{name.replace('_', ' ')} {short(n)}" for name, n in row.uncounted)
    bar = html.Div([html.Span(style={"width": f"{share:.2f}%"}), f"{share:.1f} %"], className="bar")
    numbers: list[Any] = [
        short(row.cost.flops),
        bar,
        short(row.cost.macs),
        short(row.cost.params),
        short(row.cost.activations),
    ]
    name = row.name.rpartition(".")[2] if "." in row.name else "–"
    block = f"block {int(name) + 1}" if name.isdecimal() else row.name
    cells = [html.Td(number, className="number") for number in numbers]
    return html.Tr([html.Th(block, scope="row"), html.Td(shapes), *cells, html.Td(left, className="quiet")])


def whole(arch: Arch, channels: int, classes: int, name: str) -> list[Any]:
    """Everything about a network that follows from its text."""
    from search_spaces import cost

    shown = f"Counted as deployed: {channels} channels in, {arch.resolution} px, {classes:,} classes."
    return [
        facts([*costs(cost(arch, channels, classes)), ("Blocks", str(arch.depth)), ("Stages", str(len(arch.stages)))]),
        html.P(shown, className="quiet small"),
        picture(arch, channels, classes),
        html.Details([html.Summary("Text form"), text(arch, name)], open=True),
        html.Details([html.Summary("Cost of each block"), ledger_table(arch, channels, classes)]),
    ]
