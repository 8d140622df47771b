"""How `python -m nas.scale` looks in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from nas.space_view import View, console, short

if TYPE_CHECKING:
    from nas.trade_offs import Curve

AXES = ("depth", "width", "resolution")


def show(found: dict[str, Any]) -> None:
    """The network, what a little more costs, and either the fitted network or the directions."""
    view = View(console())
    view.console.print(Text(found["name"], style="bold"))
    view.fact("counted", f"as deployed: {found['in_channels']} channels, {found['num_classes']:,} classes")
    _network(view, "network", found["network"])
    view.title("1 % more of each adds", "in percent, at the network itself")
    table = _table("", "FLOPs", "params", "live memory")
    for axis in AXES:
        table.add_row(axis, *(f"{found['marginal'][metric][axis]:.2f} %" for metric in found["marginal"]))
    view.table(table)
    if "fitted" in found:
        mix = ", ".join(f"{axis} {found['mix'][axis]:.0%}" for axis in AXES)
        view.title(
            f"The largest within {found['budget']}", f"{found['part_of_budget']:.1%} of it; of the growth: {mix}"
        )
        _network(view, "fitted", found["fitted"])
        return
    _directions(view, found)


def _network(view: View, name: str, network: dict[str, Any]) -> None:
    view.line("")
    view.network(name, network)


def _directions(view: View, found: dict[str, Any]) -> None:
    asked = f"{found['factor']:g} times the FLOPs" if found["phi"] is None else f"φ = {found['phi']:g}"
    view.title(asked, "α, β, γ are ideal; the rest is of whole blocks, channels and pixels")
    table = _table("direction", "α depth", "β width", "γ px", "blocks", "px", "FLOPs", "× asked", "params")
    for row in found["rows"]:
        label = row["label"] if not row["label"].isdecimal() else ""
        ideal = (f"{row[name]:.3f}" for name in ("alpha", "beta", "gamma"))
        if "error" in row:
            table.add_row(label, *ideal, Text(f"none: too {'large' if found['factor'] > 1 else 'small'}", style="red"))
            continue
        made = row["realised"]
        missed = made["times"] / found["factor"]
        style = "" if 0.9 <= missed <= 1.1 else "yellow"
        table.add_row(
            *(label, *ideal, str(made["blocks"]), str(made["px"]), short(made["flops"])),
            Text(f"{missed:.2f}", style=style),
            short(made["params"]),
        )
    view.table(table)
    if len(found["rows"]) == 1 and "realised" in found["rows"][0]:
        _network(view, "scaled", found["rows"][0]["realised"])


def show_measured(rows: list[dict[str, Any]], found: list[Curve]) -> None:
    """What each direction's law says at each factor, best first."""
    view = View(console())
    for row in rows:
        view.title(f"{row['factor']:g} times the FLOPs", "accuracy by each direction's law, with its 95 % interval")
        table = _table("direction", "accuracy", "from", "to")
        for line in row["ranking"]:
            table.add_row(line["axis"], *(f"{line[name]:.4f}" for name in ("accuracy", "low", "high")))
        view.table(table)
        best, *others = row["ranking"] or [None]
        if best and others and best["low"] <= max(other["high"] for other in others):
            view.line(Text("the intervals overlap: at this size the directions cannot be told apart", style="yellow"))
    for curve in found:
        if curve.falls:
            first, last = curve.falls
            said = f"{curve.axis}: accuracy falls from {first:.4f} to {last:.4f} as the network grows; "
            view.line(
                Text(said + "its law, which cannot fall, is flat: train longer before you trust it", style="yellow")
            )
    if any(curve.fitted is None for curve in found):
        view.line("a law needs three different costs: measure more --factors")


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table
