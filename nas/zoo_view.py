"""How `python -m nas.zoo` looks in a terminal."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from nas.space_view import View, console, short

ROOMY = 120  # columns from which there is space for the sources
COLUMNS = ("name", "resolution", "flops", "macs", "params", "printed_macs", "printed_params", "macs_difference")


def show_table(rows: list[dict[str, Any]]) -> None:
    """A line a network; in a pipe, tab-separated with every digit."""
    out = console()
    if not out.is_terminal:
        names = [*COLUMNS, "params_difference", "omits", "top1", "source"]
        print("\t".join(names))
        for row in rows:
            print("\t".join(_plain(row[name]) for name in names))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("network", no_wrap=True)
    for name in ("px", "FLOPs", "MACs", "params", "printed MACs", "printed params", "top-1"):
        table.add_column(name, justify="right", no_wrap=True)
    if roomy := out.width >= ROOMY:
        table.add_column("from", overflow="fold", style="dim")
    for row in rows:
        table.add_row(
            row["name"],
            str(row["resolution"]),
            *(short(row[name]) for name in ("flops", "macs", "params")),
            _compared(row, "macs"),
            _compared(row, "params"),
            f"{row['top1']:.1f}" if row["top1"] else "",
            *([_about(row)] if roomy else []),
        )
    out.print(table)
    agreeing = sum(row[f"{what}_agree"] is True for row in rows for what in ("macs", "params"))
    printed = sum(row[f"{what}_agree"] is not None for row in rows for what in ("macs", "params"))
    out.print(Text(f"{agreeing} of {printed} printed figures agree to their last digit", style="bold"))
    for row in rows:
        if row["doubt"]:
            out.print(Text(f"{row['name']}: {row['printed_macs']} must be a misprint: {row['doubt']}", style="dim"))


def _compared(row: dict[str, Any], what: str) -> Text:
    """The printed figure, green where it agrees, with the difference where it does not."""
    printed = row[f"printed_{what}"]
    if not printed:
        return Text("")
    if row[f"{what}_agree"]:
        return Text(printed, style="green")
    return Text(f"{printed} ({row[f'{what}_difference'] / 1e6:+.1f}M)", style="red")


def _about(row: dict[str, Any]) -> str:
    parts = [row["source"] or row["paper"]]
    parts += [f"without {' and '.join(row['omits'])}"] * bool(row["omits"])
    parts += [f"MACs at {row['at']} px"] * bool(row["at"] and row["at"] != row["resolution"])
    return "; ".join(parts)


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(value)
    return "" if value is None else str(value)


def show_account(found: dict[str, Any]) -> None:
    """One network: text form, costs, and what each block costs."""
    view = View(console())
    view.console.print(Text(found["name"], style="bold"))
    view.fact("paper", found["paper"])
    if found["judge"]:
        view.fact("weights", f"of {found['judge']}, by `nas.zoo.load`")
    if found["top1"]:
        view.fact("top-1", f"{found['top1']} % on ImageNet ({found['source']})")
    px, channels = found["resolution"], found["in_channels"]
    view.fact("counted", f"{channels}×{px}×{px} images, {found['num_classes']:,} classes")
    view.line("")
    view.network("network", found)
    view.ledger(found)
