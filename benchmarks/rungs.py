"""Are rungs worth it? The same search, on the same number of training images, with and without them.

    python benchmarks/rungs.py --space squeeze --trials 12 --seeds 3 --rungs 2,3

Each arm is a search on the embedded images by the same sampler and seed. Without rungs it trains `--trials`
candidates in full; with rungs it draws as many more as train on the same number of images. Printed for each: core-
seconds, how many candidates there were and were trained in full, the best accuracy, and the hypervolume of the
front (accuracy above 0.1, which is chance, against FLOPs up to the budget), and at last its ratio to the search
without rungs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from nas import data as datasets
from nas import device as devices
from nas import samplers
from nas.batches import Images
from nas.budgeted import BudgetedSampler
from nas.evaluate import Evaluator
from nas.halving import Halving
from nas.pareto import hypervolume
from nas.progress import Limits
from nas.recipe import QUICK, Recipe
from nas.rungs import share
from nas.store import create_study
from search_spaces.budget import Budget
from search_spaces.feasible import Feasible
from search_spaces.spaces import find

CHANCE = 0.1  # accuracy of guessing among the ten classes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="squeeze")
    parser.add_argument("--budget", default="300MFLOPs")
    parser.add_argument("--sampler", default="known_cost")
    parser.add_argument("--trials", type=int, default=12, help="candidates of the search without rungs")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rungs", default="2,3", help="numbers of rungs to hold against one")
    parser.add_argument("--reduction", type=int, default=3)
    parser.add_argument("--steps", type=int, default=QUICK.steps)
    parser.add_argument("--resolution", type=int, default=QUICK.resolution, help="px of training images")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    devices.use_threads(args.threads)
    device, space = devices.pick(), find(args.space)
    feasible = Feasible(space.at(space.resolutions[-1]), Budget.parse(args.budget))
    precision = devices.resolve_precision("auto", device)
    base = QUICK.with_(steps=args.steps, resolution=args.resolution, reference=space.resolutions[-1])
    base = base.with_(precision=precision, reduction=args.reduction)
    images = Images(datasets.load(base.data), 3, device)
    rows: list[dict[str, Any]] = []
    for seed in range(args.seeds):
        for rungs in (1, *map(int, args.rungs.split(","))):
            recipe = base.with_(rungs=rungs, seed=seed)
            rows.append(run(feasible, recipe, images, args.sampler, args.trials))
            if not args.json:
                print("  ".join(f"{name} {_short(value)}" for name, value in rows[-1].items()), flush=True)
    ratios = {rungs: _ratio(rows, rungs) for rungs in sorted({row["rungs"] for row in rows} - {1})}
    if args.json:
        print(json.dumps({"rows": rows, "hypervolume_ratios": ratios}, indent=2))
        return
    for rungs, ratio in ratios.items():
        each = ", ".join(f"{r:.3f}" for r in ratio)
        print(f"{rungs} rungs: {statistics.fmean(ratio):.3f} times the hypervolume of none ({each}; a seed each)")


def run(feasible: Feasible, recipe: Recipe, images: Images, sampler: str, trials: int) -> dict[str, Any]:
    """One search, in a folder of its own."""
    wanted = round(trials / share(recipe.rungs, recipe.reduction))
    with tempfile.TemporaryDirectory() as folder:
        gate = BudgetedSampler(samplers.find(sampler), feasible, recipe.seed)
        meta = {"in_channels": 3, "num_classes": 1000, "recipe": recipe.to_json(), "folder": folder, "budget": ""}
        stored = create_study(f"sqlite:///{Path(folder) / 'nas.db'}", "rungs", meta, gate)
        search = Halving(stored, feasible, gate, Evaluator(recipe, images))
        begin = time.process_time()
        search.run(Limits(trials=wanted))
        seconds, done = time.process_time() - begin, stored.complete()
        points = [(c.accuracy or 0.0, float(c.cost.flops)) for c in done]
        samples = sum(p["samples"] for c in stored.candidates() for p in c.curve[-1:])
        dearest = float(dict(feasible.budget.limits)["flops"])
        return {
            "seed": recipe.seed, "rungs": recipe.rungs, "core_s": seconds, "images": int(samples), "candidates": wanted,
            "in_full": len(done), "best": stored.best().accuracy,
            "hypervolume": hypervolume(points, (CHANCE, dearest)) / dearest,
        }  # fmt: skip


def _ratio(rows: list[dict[str, Any]], rungs: int) -> list[float]:
    """Hypervolumes over those without rungs, seed by seed."""
    plain = {row["seed"]: row["hypervolume"] for row in rows if row["rungs"] == 1}
    return [row["hypervolume"] / plain[row["seed"]] for row in rows if row["rungs"] == rungs]


def _short(value: float) -> str:
    return f"{value:.4f}" if isinstance(value, float) and value < 10 else f"{value:.0f}"


if __name__ == "__main__":
    main()
