"""How much of a short accuracy is the network, and how much the seed?

    python benchmarks/seed_noise.py --space mobile --budget 300MFLOPs --networks 6 --seeds 3

Trains uniform draws within the budget by the search's default recipe, each with several seeds, and prints the
deviation between seeds of one network beside the deviation between networks. Differences between two candidates
that are smaller than about twice the first say nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
from random import Random

from nas import data as datasets
from nas import device as devices
from nas.batches import Images
from nas.evaluate import Evaluator
from nas.recipe import QUICK
from search_spaces.budget import Budget
from search_spaces.feasible import Feasible
from search_spaces.spaces import find


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="mobile")
    parser.add_argument("--budget", default="300MFLOPs")
    parser.add_argument("--networks", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--draw-seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    devices.use_threads(None)
    device = devices.pick()
    space = find(args.space)
    feasible = Feasible(space.at(space.resolutions[-1]), Budget.parse(args.budget))
    recipe = QUICK.with_(precision=devices.resolve_precision("auto", device), reference=space.resolutions[-1])
    evaluator = Evaluator(recipe, Images(datasets.load(recipe.data), 3, device))
    rng, rows = Random(args.draw_seed), []
    for _ in range(args.networks):
        arch, cost = feasible.draw(rng)
        accuracies = [evaluator.evaluate(arch, seed).accuracy for seed in range(args.seeds)]
        rows.append({"flops": cost.flops, "accuracies": accuracies, "arch": str(arch)})
        if not args.json:
            spread = statistics.stdev(accuracies)
            print(
                f"{cost.flops / 1e6:6.1f}M  mean {statistics.fmean(accuracies):.4f}  seeds ± {spread:.4f}", flush=True
            )
    within = statistics.fmean(statistics.variance(row["accuracies"]) for row in rows) ** 0.5
    between = statistics.stdev(statistics.fmean(row["accuracies"]) for row in rows)
    found = {
        "networks": args.networks,
        "seeds": args.seeds,
        "within": within,
        "between": between,
        "ratio": between / within,
    }
    print(json.dumps(found | {"rows": rows}, indent=2) if args.json else found)


if __name__ == "__main__":
    main()
