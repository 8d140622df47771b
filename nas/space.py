"""A look inside a space: its holes, its size, what its networks cost and how many fit a budget.

Nothing is trained or built, so nothing here imports torch. What is printed and what `--json` prints
are two readings of the same plain data (`overview`, `account`).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from nas.cli import add_deployment, add_space, chosen_space, command, positive, run
from nas.figures import check_path, flops_histogram, write
from nas.figures.flops_histogram import read_at
from nas.latency.budgets import within
from search_spaces.arch import Arch
from search_spaces.budget import Budget
from search_spaces.cost import Cost, ledger
from search_spaces.feasible import Feasible
from search_spaces.holes import count, match
from search_spaces.lattice import path_of
from search_spaces.space import Space
from search_spaces.spaces import find, names

if TYPE_CHECKING:
    from collections.abc import Iterator

PLOT_BARS = 96
MAX_SAMPLES = 10_000
COSTS = ("flops", "macs", "params")
EXAMPLES = """
examples:
  python -m nas.space mobile --budget 300MFLOPs
  python -m nas.space mobile --resolution 128-224 --plot mobile.html
  python -m nas.space my_space.py:SPACE --json
  python -m nas.space mobile --budget 300MMACs --arch "r224 | conv_stem(width=32) | … | pool_head(width=1280)"
"""


def main(argv: list[str] | None = None) -> int:
    """Print, and where asked draw, what a space holds."""
    args = _parser().parse_args(argv)
    if args.plot:
        check_path(args.plot)
    offered = find(args.space).deployed(args.in_channels, args.num_classes)
    space = chosen_space(args.space, args.resolution)
    feasible = within(space, args.budget, args.in_channels, args.num_classes)
    if args.arch is None:
        found = overview(feasible, args.samples, args.seed)
    else:
        found = account(feasible, Arch.parse(args.arch), offered)
    found = heading(feasible, args.space, offered) | found
    if args.plot:
        write(flops_histogram.plot(flops_histogram.data(feasible, PLOT_BARS)), args.plot)
        found["plot"] = str(args.plot)
    if args.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        from nas.space_view import show  # rich, which --help and --json do without

        show(found)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = command("space", "A look inside a space: its holes, its size, and what its networks cost.\n" + EXAMPLES)
    add_space(parser, positional=True)
    parser.add_argument("--samples", type=_samples, default=5, metavar="N", help="uniform draws to show")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draws")
    parser.add_argument("--arch", metavar="TEXT", help="instead, the cost of this architecture, block by block")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="also draw the histogram to FILE.html or FILE.png")
    parser.add_argument("--json", action="store_true", help="print the same as JSON, for programs")
    add_deployment(parser)
    return parser


def _samples(text: str) -> int:
    number = 0 if text == "0" else positive(text)
    if number > MAX_SAMPLES:
        raise argparse.ArgumentTypeError(f"at most {MAX_SAMPLES} draws are shown, but got {text}")
    return number


# --------------------------------------------------------------------------------------- a space


def overview(feasible: Feasible, samples: int, seed: int) -> dict[str, Any]:
    """What a space holds, as plain data."""
    space, lattice = feasible.space, feasible.lattice
    least, most = feasible.share()
    rng = Random(seed)
    draws = [feasible.draw(rng) for _ in range(samples)]
    return {
        "size": lattice.size(),
        "budget": budget_of(feasible.budget),
        # of several limits, the tightest alone bounds the share from above and none does from below
        "share": {"at_least": least if len(feasible.budget.limits) < 2 else 0.0, "at_most": most},
        "cheapest": network(*lattice.extreme("flops")),
        "dearest": network(*lattice.extreme("flops", -1)),
        "parts": list(parts(space)),
        "histogram": asdict(flops_histogram.data(feasible)),
        "seed": seed,
        "samples": [network(arch, its_cost) for arch, its_cost in draws],
    }


def heading(feasible: Feasible, spec: str, offered: Space) -> dict[str, Any]:
    """Which space, where it is written, and how its costs are counted."""
    space = feasible.space
    return {
        "space": space.name,
        "about": space.about,
        "source": f"search_spaces/spaces/{spec}.py" if spec in names() else spec,
        "read_at": read_at(feasible),
        "resolutions": list(space.resolutions),
        "resolutions_offered": list(offered.resolutions),
        "in_channels": feasible.in_channels,
        "num_classes": feasible.num_classes,
    }


def budget_of(budget: Budget) -> dict[str, Any] | None:
    """A budget as plain data; None when there is none."""
    return {"text": str(budget), **dict(budget.limits)} if budget.limits else None


def network(arch: Arch, its_cost: Cost) -> dict[str, Any]:
    """An architecture and what it costs."""
    return {"arch": str(arch), **{name: getattr(its_cost, name) for name in COSTS}}


def parts(space: Space) -> Iterator[dict[str, Any]]:
    """Resolution, stem, stages and head that are open: their fillings, and their holes by path."""
    stages = [f"stage{i}" for i in range(1, len(space.template.stages) + 1)]
    for name, node in zip(("resolution", "stem", *stages, "head"), path_of(space.template), strict=True):
        mine = {path: hole for path, hole in space.holes.items() if path.split(".")[0] == name}
        if mine:
            holes = [
                {"path": path, "options": list(hole.labels), "count": len(hole.labels)} for path, hole in mine.items()
            ]
            yield {"name": name, "fillings": count(node), "holes": holes}


# -------------------------------------------------------------------------------- an architecture


def account(feasible: Feasible, arch: Arch, offered: Space) -> dict[str, Any]:
    """What an architecture costs, block by block, and whether it lies in the space and the budget."""
    rows = ledger(arch, feasible.in_channels, feasible.num_classes)
    total = feasible.cost(arch)
    outside = stranger(feasible.space, arch)
    elsewhere = outside is not None and stranger(offered, arch) is None
    return {
        **network(arch, total),
        "activations": total.activations,
        "peak_activations": total.peak_activations,
        "in_space": outside is None,
        "not_in_space_because": outside,
        "in_space_at_another_resolution": elsewhere,
        "budget": budget_of(feasible.budget),
        "in_budget": feasible.budget.fits(total),
        "part_of_budget": feasible.budget.excess(total),
        "stages": {f"stage{i}": str(stage) for i, stage in enumerate(arch.stages, 1)},
        "ledger": [row.as_data() for row in rows],
    }


def stranger(space: Space, arch: Arch) -> str | None:
    """Why `arch` does not lie in `space`, in words; None when it does."""
    nodes, found = path_of(space.template), path_of(arch)
    if len(nodes) != len(found):
        wanted = len(space.template.stages)
        return f"it has {len(arch.stages)} and the space {wanted} stage{'s' * (wanted != 1)}"
    parts = ("resolution", "stem", *(f"stage{i}" for i in range(1, len(arch.stages) + 1)), "head")
    for name, node, filling in zip(parts, nodes, found, strict=True):
        if match(node, filling) is None:
            return f"the space does not offer {filling} as {name}"
    return None if arch in space else "a rule of the space forbids it"


if __name__ == "__main__":
    run(main)
