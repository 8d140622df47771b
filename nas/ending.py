"""The end of a search: the best network exported, the front and what comes next, for people or as JSON."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

from nas import trust
from nas.errors import UserError
from nas.loop import Search
from nas.report import note, print_front, rungs, stopped, summary
from nas.store import Stored
from search_spaces.spaces import defines


@dataclass(frozen=True)
class Run:
    """How a run went: why it ended, its beginning on `time.perf_counter`, seconds of longer training, its workers."""

    ended: str
    begin: float
    trust_s: float
    workers: int

    @property
    def code(self) -> int:
        """The command's exit code."""
        return 130 if self.ended == "interrupted" else 0

    def overhead(self, wall_s: float, of: dict[str, float]) -> float:
        """The part of the wall time that was neither training nor validation; `of`: their seconds, over all workers."""
        return 1 - ((of["training"] + of["validation"]) / self.workers + self.trust_s) / wall_s


def finish(args: argparse.Namespace, stored: Stored, search: Search, run: Run) -> int:
    """Export the best network, print the front and what comes next; return the exit code."""
    exported = None if args.no_export else _exported(stored)
    wall_s = time.perf_counter() - run.begin
    seconds = search.progress.spent()
    if search.sampler.prefilter:
        seconds["prefilter"] = search.sampler.prefilter.seconds
    seconds["trust"] = run.trust_s
    proposals = search.progress.proposals()
    pairs = trust.known(stored)
    trusted = trust.verdict(pairs)
    if args.json:
        more = {"ended": run.ended, "wall_s": wall_s, "spent_s": seconds, "proposals": proposals}
        more["trust"] = trust.as_json(trusted, pairs)
        more |= {"rungs": rungs(stored)} if search.evaluator.recipe.rungs > 1 else {}
        print(json.dumps(summary(stored, exported=str(exported) if exported else None, **more), indent=2))
        return run.code
    note(
        f"\n{run.ended} after {wall_s:.0f} s: training {seconds['training']:.0f} s, "
        f"validation {seconds['validation']:.0f} s, longer training {run.trust_s:.0f} s, "
        f"the rest {run.overhead(wall_s, seconds):.1%}"
    )
    note("proposals: " + ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in proposals.items()))
    if search.sampler.prefilter:
        note(f"{search.sampler.prefilter}")
    print_front(stored)
    for line in stopped(stored):
        note(line)
    if args.trust != 0:
        note(f"\ntrust: {trusted}")
    note(_next_steps(args, stored, exported))
    return run.code


def _exported(stored: Stored) -> Path | None:
    """The best network's folder; None, with a word, where it cannot be exported: the search is done all the same."""
    try:
        return export_best(stored)
    except UserError as error:
        note(f"not exported: {error}")
        return None


def export_best(stored: Stored) -> Path:
    """Write the best network of a study, and the picture of its front, into its folder."""
    from nas.exporters.python_module import export
    from nas.figures import write
    from nas.figures.pareto_front import data, plot
    from nas.packaging.sources import trained

    meta = stored.meta
    write(plot(data(stored)), stored.folder / "front.html")
    return export(trained(stored, stored.best(), meta["in_channels"], meta["num_classes"]), stored.folder / "best")


def _next_steps(args: argparse.Namespace, stored: Stored, exported: Path | None) -> str:
    best, name = stored.best(), stored.name
    longer = [row for row in stored.longer() if row["number"] == best.number]
    after = f" ({longer[0]['long']:.4f} after longer training)" if longer else ""
    lines = [
        f"best: trial {best.number}, accuracy {best.accuracy:.4f}{after} on validation images of {stored.meta['data']}"
    ]
    if exported:
        lines.append(f"  exported as   {exported}  (plain PyTorch; weights and spec beside it)")
        lines.append(f"  its front     {stored.folder / 'front.html'}  (any browser; works offline)")
    which = "" if args.storage is None and args.results == Path("results") else f" --storage {stored.storage}"
    if any(map(defines, (best.arch.stem, *(stage.block for stage in best.arch.stages), best.arch.head))):
        which += f" --blocks {args.space.rpartition(':')[0] or args.space}"
    lines += [
        f"  study         {name} in {stored.storage}",
        f"  browse        python -m dashboard{which}",
        f"  train it      python -m nas.train --study {name}{which} --best --epochs 10",
        f"  take it home  python -m nas.export --study {name}{which} --best --out DIR",
        "  your own data python -m nas.search --budget … --data path/to/images  (one sub-folder a class)",
    ]
    return "\n".join(lines)
