"""What is a change of a recipe worth, in accuracy and in core-seconds?

Trains uniform draws within a budget twice each, by a recipe and by the recipe with a change, from the same seed, and
prints the paired difference in accuracy on validation images with its 95 % bootstrap interval over the networks.

    python benchmarks/recipes.py --recipe final --change '{"augment": ["flip", "shift"]}'
    python benchmarks/recipes.py --data cifar10/ --change '{"ema": 0.99}' --networks 8

What is chosen by it should be reported on other networks: --draw-seed.
"""

from __future__ import annotations

import argparse
import json
import time
from random import Random
from statistics import fmean
from typing import Any

from samplers import interval

from nas import data as datasets
from nas import device as devices
from nas.batches import Images
from nas.cli import Help, positive, run
from nas.evaluate import Evaluator
from nas.recipe import RECIPES, Recipe
from nas.session import LARGEST_IMAGE
from search_spaces.arch import Arch
from search_spaces.budget import Budget
from search_spaces.feasible import Feasible
from search_spaces.spaces import find


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    parser.add_argument("--recipe", default="quick", choices=RECIPES)
    parser.add_argument("--change", type=json.loads, required=True, metavar="JSON", help="fields of the other recipe")
    parser.add_argument("--both", type=json.loads, default={}, metavar="JSON", help="fields changed in both")
    parser.add_argument("--data", default="fashion-subset", metavar="NAME|DIR", help="the embedded images unless given")
    parser.add_argument("--space", default="mobile")
    parser.add_argument("--budget", default="300MFLOPs")
    parser.add_argument("--networks", type=positive, default=4, metavar="N")
    parser.add_argument("--draw-seed", type=int, default=1, help="of the draw of networks")
    parser.add_argument("--seed", type=int, default=0, help="of weights and batches")
    parser.add_argument("--threads", type=positive, default=1)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    devices.use_threads(args.threads)
    device = devices.pick("cpu")
    space = find(args.space)
    largest = space.resolutions[-1]
    fixed = {"data": args.data, "reference": largest, "precision": "fp32", "seed": args.seed}
    base = RECIPES[args.recipe].with_(**{**fixed, **args.both})
    changed = base.with_(**args.change)
    size = LARGEST_IMAGE * max(base.resolution, changed.resolution)
    images = Images(datasets.load(args.data, seed=0, size=size), 3, device)
    feasible, rng = Feasible(space.at(largest), Budget.parse(args.budget)), Random(args.draw_seed)
    rows = []
    for _ in range(args.networks):
        arch, cost = feasible.draw(rng)
        pair = [trained(recipe, images, arch, args.seed) for recipe in (base, changed)]
        rows.append({"arch": str(arch), "flops": cost.flops, "as it is": pair[0], "changed": pair[1]})
        if not args.json:
            told = "  ".join(f"{accuracy:.4f} ({seconds:.0f} s)" for accuracy, seconds in pair)
            print(f"{cost.flops / 1e6:6.1f}M  as it is, changed: {told}", flush=True)
    print(json.dumps({"summary": summary(rows), "rows": rows}, indent=1) if args.json else as_text(summary(rows)))
    return 0


def trained(recipe: Recipe, images: Images, arch: Arch, seed: int) -> tuple[float, float]:
    """Accuracy and core-seconds."""
    begin = time.process_time()
    return Evaluator(recipe, images).evaluate(arch, seed).accuracy, time.process_time() - begin


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The difference that the change makes, its interval, and what it costs."""
    gains = [row["changed"][0] - row["as it is"][0] for row in rows]
    low, high = interval(gains)
    ratio = sum(row["changed"][1] for row in rows) / sum(row["as it is"][1] for row in rows)
    return {"n": len(rows), "gain": fmean(gains), "low": low, "high": high, "core_s_ratio": ratio}


def as_text(found: dict[str, Any]) -> str:
    return (
        f"the change gains {found['gain']:+.4f} (95 % {found['low']:+.4f} to {found['high']:+.4f}, n = {found['n']}) "
        f"in {found['core_s_ratio']:.2f} times the core-seconds"
    )


if __name__ == "__main__":
    run(main)
