"""What a search shows while it runs and when it ends."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from nas.candidates import Candidate
from nas.progress import Reporter
from nas.store import Stored
from nas.training import Point
from nas.words import clock, short
from search_spaces.arch import Arch


class Lines(Reporter):
    """One line a trial on stderr, and on a terminal a bar with the time left below them."""

    def __init__(self, trials: int | None, done: int) -> None:
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self.trials = trials
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self.task = self.bar.add_task("searching", total=trials, completed=done, left="")
        self.left = ""

    def __enter__(self) -> Lines:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def started(self, number: int, arch: Arch, flops: int) -> None:
        self.bar.update(self.task, description=f"trial {number}, {short(flops)}FLOPs")

    def point(self, point: Point) -> None:
        self.bar.update(self.task, left=f"accuracy {point.accuracy:.3f} after {point.samples} images{self.left}")

    def finished(self, candidate: Candidate, done: int, on_front: bool, seconds_left: float | None) -> None:
        self.left = f", {clock(seconds_left)} left"
        self.bar.update(self.task, completed=done, left=self.left.lstrip(", "))
        said = _outcome(candidate)
        of = f"/{self.trials}" if self.trials else ""
        front = "[green]front[/green]" if on_front else "     "
        self.console.print(
            f"{done:>3}{of}  {said}  {short(candidate.cost.flops):>6}FLOPs  {front}  {clock(candidate.seconds):>6}"
            f"{self.left}  [dim]{candidate.arch}[/dim]"
        )


def _outcome(candidate: Candidate) -> str:
    """An accuracy, that of the last rung with the reason why it stopped, or why there is none."""
    if candidate.accuracy is not None:
        return f"accuracy {candidate.accuracy:.4f}"
    if candidate.state == "stopped":
        return f"accuracy {candidate.rungs[-1]['accuracy']:.4f} [dim]{candidate.reason}[/dim]"
    return f"[red]{candidate.reason}[/red]"


def rungs(stored: Stored) -> list[dict[str, float]]:
    """A row for each rung: how many candidates finished it and stopped there, their seconds in all, and the rest's.

    saved_s: what those that stopped there would have taken beyond it to train in full, each at the pace that it had.
    """
    candidates = [c for c in stored.candidates() if c.rungs]
    full = max((c.rungs[-1]["samples"] for c in candidates if c.state == "complete"), default=0.0)
    rows = []
    for rung in range(max((len(c.rungs) for c in candidates), default=0)):
        there = [c for c in candidates if len(c.rungs) > rung]
        ended = [c for c in there if len(c.rungs) == rung + 1 and c.state == "stopped"]
        paces = [(sum(r["seconds"] for r in c.rungs), c.rungs[-1]["samples"]) for c in ended]
        saved = sum(seconds * (full / samples - 1) for seconds, samples in paces) if full else 0.0
        spent = sum(c.rungs[rung]["seconds"] for c in there)
        rows.append({"finished": len(there), "stopped": len(ended), "spent_s": spent, "saved_s": saved})
    return rows


def stopped(stored: Stored) -> list[str]:
    """What rungs were worth, a line each; nothing where training is in one go."""
    rows = rungs(stored)
    if not rows:
        return []
    lines = [
        f"rung {i}: {row['finished']} candidates finished it, {row['stopped']} stopped there; {clock(row['spent_s'])}"
        for i, row in enumerate(rows, 1)
    ]
    saved = sum(row["saved_s"] for row in rows)
    return [*lines, f"stopping saved about {clock(saved)}, at the pace that those that stopped had"]


def front_table(stored: Stored) -> Table:
    """The Pareto front: accuracy, costs and text forms."""
    table = Table(title=f"Pareto front of {stored.name}", title_justify="left", box=None, pad_edge=False)
    for name in ("trial", "accuracy", "FLOPs", "MACs", "params"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("architecture", overflow="fold")
    for c in stored.front():
        costs = (short(c.cost.flops), short(c.cost.macs), short(c.cost.params))
        table.add_row(str(c.number), f"{c.accuracy:.4f}", *costs, str(c.arch))
    return table


def print_front(stored: Stored) -> None:
    """Print the front, on a terminal as a table, in a pipe as tab-separated lines that tools can read."""
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(front_table(stored))
        return
    print("trial\taccuracy\tflops\tmacs\tparams\tarchitecture")
    for c in stored.front():
        print(f"{c.number}\t{c.accuracy:.4f}\t{c.cost.flops}\t{c.cost.macs}\t{c.cost.params}\t{c.arch}")


def note(text: str) -> None:
    """A line on stderr, beside the results on stdout."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(text, markup=False)


def summary(stored: Stored, **more: Any) -> dict[str, Any]:
    """The machine-readable end of a search."""
    rows = [
        {"trial": c.number, "accuracy": c.accuracy, "flops": c.cost.flops, "macs": c.cost.macs, "params": c.cost.params}
        | {"arch": str(c.arch)}
        for c in stored.front()
    ]
    return {"study": stored.name, "storage": stored.storage, "front": rows, **more}
