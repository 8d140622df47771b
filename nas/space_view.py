"""How `python -m nas.space` looks in a terminal: the plain data of `nas.space`, printed.

On a terminal, text forms break between their parts and can still be read and copied, as a text form
may hold line breaks. Piped, each stays on one line and nothing is coloured.
"""

from __future__ import annotations

import os
from itertools import pairwise
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nas.figures.flops_histogram import counted
from search_spaces.budget import spelled

PIPED_WIDTH = 140
ROOMY = 138  # columns from which a ledger has space for what is not counted, block by block
LABELS = {"flops": "FLOPs", "macs": "MACs", "params": "params"}
INDENT = 11
EIGHTHS = " ▏▎▍▌▋▊▉"


def show(found: dict[str, Any]) -> None:
    """Print an overview of a space, or the account of an architecture."""
    view = View(console())
    if "ledger" in found:
        view.account(found)
    else:
        view.overview(found)
    if "plot" in found:
        view.line("")
        view.fact("plot", f"written to {found['plot']}")


def console() -> Console:
    """Standard output, wide where nobody said how wide it is."""
    found = Console(highlight=False)
    if not found.is_terminal and "COLUMNS" not in os.environ:
        return Console(highlight=False, width=PIPED_WIDTH)
    return found


class View:
    """The elements that accounts are printed with."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def overview(self, found: dict[str, Any]) -> None:
        self.heading(found)
        self.fact("size", f"{counted(found['size'])} networks")
        if found["budget"]:
            self.fact("budget", _fitting(found))
        self.line("")
        self.network("cheapest", found["cheapest"])
        self.network("dearest", found["dearest"])
        self.holes(found["parts"])
        self.histogram(found["histogram"])
        self.samples(found)

    def account(self, found: dict[str, Any]) -> None:
        self.heading(found)
        self.fact("in space", _membership(found))
        if found["budget"]:
            part = f"{percent(found['part_of_budget'], 1)} of {found['budget']['text']}"
            self.fact("in budget", _verdict(found["in_budget"], part))
        self.line("")
        self.network("network", found)
        self.ledger(found)

    # --------------------------------------------------------------------------------- elements

    def line(self, text: str | Text) -> None:
        """A line that only the terminal may break."""
        self.console.print(text if isinstance(text, Text) else Text(text), soft_wrap=True)

    def title(self, text: str, note: str = "") -> None:
        """The head of a section, after an empty line."""
        self.line("")
        self.console.print(Text.assemble((text, "bold"), (f"  {note}" if note else "", "dim")))

    def fact(self, name: str, value: str | Text) -> None:
        """A name and what it is, broken under itself."""
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(width=INDENT - 2, style="dim")
        table.add_column(overflow="fold")
        table.add_row(name, value if isinstance(value, Text) else Text(value))
        self.table(table)

    def table(self, table: Table) -> None:
        """A table without the blanks that rich fills its lines with."""
        with self.console.capture() as captured:
            self.console.print(table)
        for line in captured.get().splitlines():
            print(line.rstrip(), file=self.console.file)

    def network(self, name: str, found: dict[str, Any]) -> None:
        """A name, the costs, and below them the text form."""
        cost = "   ".join(f"{short(found[metric]):>6} {label}" for metric, label in LABELS.items())
        self.line(Text.assemble((f"{name:<{INDENT}}", "dim"), cost))
        text, terminal = found["arch"], self.console.is_terminal
        for line in _broken(text, self.console.width - INDENT) if terminal else [text]:
            self.line(Text(" " * INDENT + line, style="dim"))

    # ---------------------------------------------------------------------------------- sections

    def heading(self, found: dict[str, Any]) -> None:
        self.console.print(Text(found["space"], style="bold"))
        if found["about"]:
            self.fact("about", found["about"])
        self.fact("from", found["source"])
        self.fact("counted", f"as deployed: {found['read_at']}")
        hint = _opens(found)
        self.fact("offers", f"{', '.join(map(str, found['resolutions_offered']))} px{hint and f'; {hint}'}")

    def holes(self, parts: list[dict[str, Any]]) -> None:
        """A line a hole, grouped; a block with the same holes as an earlier stage's is named after it."""
        self.title(f"{sum(len(part['holes']) for part in parts)} holes", "a hole's path is part.hole")
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, header_style="dim")
        table.add_column("part", no_wrap=True)
        table.add_column("hole", no_wrap=True)
        table.add_column("options", overflow="fold")
        table.add_column("count", justify="right", no_wrap=True)
        table.add_column("fillings", justify="right", no_wrap=True)
        blocks: dict[str, str] = {}
        for part in parts:
            name, fillings = part["name"], f"{part['fillings']:,}"
            for hole, options, number in _rows(part, blocks):
                # the holes of an alternative stand indented below the choice that opens them
                shown = f"  {hole.removeprefix('block.')}" if hole.count(".") > 1 else hole or "(itself)"
                table.add_row(name, shown, options, number, fillings)
                name = fillings = ""
        self.table(table)

    def histogram(self, found: dict[str, Any]) -> None:
        """A bar for each step of FLOPs; a mark where the budget lies."""
        edges, counts, limit = found["edges"], found["counts"], found["limit"]
        self.title("FLOPs of all networks", f"counted, not sampled; edges are sharp to ±{short(found['blur'])}")
        names = [f"{spelled(low)} – {spelled(high)}" for low, high in pairwise(edges)]
        label = max(map(len, names))
        mark = "" if limit is None else f" ◀ {spelled(limit)}FLOPs"
        room = self.console.width - label - len(mark) - 13
        for name, (low, high), number in zip(names, pairwise(edges), counts, strict=True):
            here = limit is not None and low < limit <= high
            line = Text.assemble((f"{name:>{label}}", "dim"), f"  {percent(number / sum(counts), 2):>8}  ")
            line.append(bar(number / max(counts), room), "blue" if limit is None or high <= limit else "bright_black")
            line.append(mark if here else "", "bold red")
            line.rstrip()
            self.line(line)
        if limit is not None and limit > edges[-1]:
            self.line(f"the budget of {spelled(limit)}FLOPs lies above all of them")

    def samples(self, found: dict[str, Any]) -> None:
        if found["samples"]:
            within = f" within {found['budget']['text']}" if found["budget"] else ""
            draws = "1 uniform draw" if len(found["samples"]) == 1 else f"{len(found['samples'])} uniform draws"
            self.title(f"{draws}{within}", f"seed {found['seed']}")
            for i, sample in enumerate(found["samples"], 1):
                self.network(str(i), sample)

    def ledger(self, found: dict[str, Any]) -> None:
        """A line a block under the text of its stage; what is not counted beside it where there is room."""
        roomy = self.console.width >= ROOMY
        self.title("Cost of each block", "FLOPs as fvcore counts them, a multiply-add is one")
        columns = "".join(f"{label:>9}" for label in (*LABELS.values(), "outputs"))
        self.line(Text(f"{'':<{INDENT}}{'in → out':<27}{columns}" + "   not counted (elements)" * roomy, style="dim"))
        stage = ""
        for row in found["ledger"]:
            part, _, number = row["name"].partition(".")
            if part != stage:
                stage = part
                self.line(Text.assemble((f"{part:<{INDENT}}", "bold"), found["stages"].get(part, row["text"])))
            shapes = " → ".join("×".join(map(str, row[side])) for side in ("input", "output"))
            line = Text.assemble((f"  {number:<{INDENT - 2}}", "dim"), f"{shapes:<27}", _costs(row))
            if roomy:
                line.append(f"   {_uncounted(row['uncounted'])}", "dim")
            line.rstrip()
            self.line(line)
        self.line(Text(f"{'total':<{INDENT + 27}}{_costs(found)}", style="bold"))
        self.line("")
        self.fact("outputs", f"elements that convolutions and linear layers write; at most {_peak(found)} live at once")
        self.fact("no FLOPs", f"elements that fvcore does not count: {_uncounted(_summed(found['ledger']))}")


# ------------------------------------------------------------------------------------------- texts


def short(number: float) -> str:
    """Four digits and a prefix: 300.0M, 1.638M, 96.33k, 512."""
    for prefix, unit in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= unit * 0.99995:
            return f"{number / unit:#.4g}".rstrip(".") + prefix
    return f"{number:.0f}"


def percent(share: float, digits: int) -> str:
    """A share in per cent; what is there but rounds to nothing is not 0."""
    least = 10.0**-digits
    if 0 < 100 * share < least:
        return f"<{least:.{digits}f} %"
    return f"{100 * share:.{digits}f} %" if share else "0 %"


def bar(part: float, room: int) -> str:
    """A bar of `part` of `room` columns, to an eighth of a column."""
    eighths = round(part * max(room, 8) * 8)
    return ("█" * (eighths // 8) + EIGHTHS[eighths % 8]).rstrip()


def _broken(text: str, room: int) -> list[str]:
    """A text form in lines that break between its parts."""
    lines: list[str] = []
    for part in text.split(" | "):
        if lines and len(lines[-1]) + len(part) + 5 <= room:
            lines[-1] += f" | {part}"
        else:
            if lines:
                lines[-1] += " |"
            lines.append(part)
    return lines


def _opens(found: dict[str, Any]) -> str:
    """How to open the resolutions that were left out; empty when none were."""
    offered = found["resolutions_offered"]
    if len(found["resolutions"]) < len(offered):
        return f"--resolution {offered[0]}-{offered[-1]} opens them all"
    return ""


def _fitting(found: dict[str, Any]) -> str:
    """How many networks fit: bounds that hold exactly."""
    least, most = found["share"]["at_least"], found["share"]["at_most"]
    text, size = found["budget"]["text"], found["size"]
    if least == most:
        return f"{text}: {_share(most)} of them fit"
    if not least:
        return f"{text}: at most {_share(most)} of them fit, {_rough(most * size)} networks"
    networks = f"{_rough(least * size)} to {_rough(most * size)} networks"
    return f"{text}: {_share(least)} to {_share(most)} of them fit, {networks}"


def _share(share: float) -> str:
    return f"{100 * share:.4g} %"


def _rough(number: float) -> str:
    return f"{number:,.0f}" if number < 1e9 else f"{number:.3e}".replace("e+", "e")


def _verdict(good: bool, text: str) -> Text:
    return Text.assemble(("yes" if good else "no", "bold green" if good else "bold red"), f", {text}" if text else "")


def _membership(found: dict[str, Any]) -> Text:
    if found["in_space"]:
        return _verdict(True, "")
    hint = f"; {_opens(found)}" if found["in_space_at_another_resolution"] else ""
    return _verdict(False, found["not_in_space_because"] + hint)


def _rows(part: dict[str, Any], blocks: dict[str, str]) -> list[tuple[str, str, str]]:
    """(hole, options, how many) of a part; `blocks` remembers which part had which block holes first."""
    holes = [
        (hole["path"].removeprefix(part["name"]).removeprefix("."), _options(hole), str(hole["count"]))
        for hole in part["holes"]
    ]
    block = [row for row in holes if row[0].split(".")[0] == "block"]
    first = blocks.setdefault(repr(block), part["name"])
    if len(block) < 2 or first == part["name"]:
        return holes
    return [("block", f"as in {first}", ""), *(row for row in holes if row not in block)]


def _options(hole: dict[str, Any]) -> str:
    """The options as they are written in a text form; a long run of whole numbers by its ends."""
    options = hole["options"]
    whole = all(isinstance(option, int) and not isinstance(option, bool) for option in options)
    steps = {high - low for low, high in pairwise(options)} if whole else set()
    if len(options) > 6 and len(steps) == 1:
        return f"{options[0]}, {options[1]}, … {options[-1]}"
    return ", ".join(f"{option:g}" if isinstance(option, float) else str(option).lower() for option in options)


def _costs(row: dict[str, Any]) -> str:
    return "".join(f"{short(row[name]):>9}" for name in (*LABELS, "activations"))


def _peak(found: dict[str, Any]) -> str:
    return short(found["peak_activations"])


def _uncounted(elements: dict[str, int]) -> str:
    return ", ".join(f"{name} {short(number)}" for name, number in sorted(elements.items(), key=lambda item: -item[1]))


def _summed(rows: list[dict[str, Any]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in rows:
        for name, number in row["uncounted"].items():
            found[name] = found.get(name, 0) + number
    return found
