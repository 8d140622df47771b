"""Does short training rank networks as long training does? On networks whose long training is published.

Trains networks of NAS-Bench-Macro, written in this language, by a recipe on CIFAR-10, and holds the ranking
against the table's accuracies (mean of three full trainings): `spread` are drawn uniformly over the table,
`band` within 5 % of 60 MFLOPs, where FLOPs can say nothing. Beside short training stand FLOPs, params, and the
`model`: the Gaussian process of the search's sampler on the short accuracies, with exact cost as an input,
asked for its mean of each network (all that were trained here are known to it, the table never is), also with a
zero-cost proxy's scores as one more input (--proxies, from proxies.py on the same networks).

Each network is kept in --out as it ends, so a stopped run goes on. `--networks report` are disjoint from
`--networks develop`, which recipes were chosen on.

    python benchmarks/ranking.py --table nas-bench-macro_cifar10.json --data cifar10/ --out ranking.jsonl
    python benchmarks/ranking.py --table … --data … --out other.jsonl --recipe '{"steps": 80, "lr": 0.2}'

Data: CIFAR-10 as a folder, one sub-folder a class in `train` and `test`. Times are core-seconds of this process.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from judging import as_lines, correlations, images, known
from macro_networks import Row, in_band, network, read, spread
from nas_bench_macro import CLASSES, WIDTHS

from nas import device as devices
from nas.believed import believed
from nas.cli import Help, run
from nas.evaluate import Evaluator
from nas.known_cost.domain import Parameter
from nas.recipe import QUICK, Recipe
from nas.training import Failed
from search_spaces.cost import cost

BAND = 60e6  # FLOPs as the table counts them: multiply-adds at 32 px
SEED, DEVELOP = 0, 64  # of the draw of networks; where in it those begin that recipes were chosen on
COUNT = {"spread": 30, "band": 24}
HINT = "naswot"  # the proxy that the model hears of; chosen on networks 0 to 100 of the spread in proxies.py


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    parser.add_argument("--table", type=Path, required=True, metavar="FILE.json", help="the published table")
    parser.add_argument("--data", required=True, metavar="DIR", help="CIFAR-10 as a folder of images")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.jsonl", help="where results are kept")
    parser.add_argument("--recipe", type=json.loads, default={}, metavar="JSON", help="changes of the default recipe")
    parser.add_argument("--networks", choices=("develop", "report"), default="report")
    parser.add_argument("--spread", type=int, default=COUNT["spread"], metavar="N")
    parser.add_argument("--band", type=int, default=COUNT["band"], metavar="N")
    parser.add_argument("--seed", type=int, default=0, help="of weights and batches")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--part", default="1/1", metavar="I/N", help="train each Nth network only, from the Ith on")
    parser.add_argument("--validation", type=int, default=2500, metavar="N", help="images that accuracies are of")
    parser.add_argument("--proxies", type=Path, metavar="FILE.jsonl", help="scores that proxies.py kept, for the model")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    table = read(args.table)
    chosen = networks(table, args.networks, args.spread, args.band)
    train_missing(args, chosen)
    done = known(args.out)
    results = judge(table, chosen, done, known(args.proxies) if args.proxies else {})
    said = [f"{results['core_s']:.0f} core-seconds a network", *as_lines(results["sets"])]
    print(json.dumps(results, indent=1) if args.json else "\n".join(said))
    return 0


def networks(table: dict[str, Row], which: str, wide: int, narrow: int) -> dict[str, list[str]]:
    """The networks of both sets, by name of the set; what recipes were developed on lies behind what is reported."""
    skipped = DEVELOP if which == "develop" else 0
    band = in_band(table, int(BAND), skipped + narrow, SEED)[skipped:]
    everywhere = [one for one in spread(table, skipped + 2 * wide, SEED)[skipped:] if one not in band]
    return {"spread": everywhere[:wide], "band": band}


def train_missing(args: argparse.Namespace, chosen: dict[str, list[str]]) -> None:
    """Train what --out lacks, and keep each as it ends."""
    devices.use_threads(args.threads)
    recipe = recipe_of(args.recipe, args.data, args.seed)
    part, parts = map(int, args.part.split("/"))
    both = list(dict.fromkeys(one for pair in zip_longest(chosen) for one in pair))
    missing = [one for one in both[part - 1 :: parts] if one not in known(args.out)]
    if not missing:
        return
    evaluator = Evaluator(recipe, images(args.data, args.validation))
    for choices in missing:
        begin = time.process_time()
        try:
            evaluation = evaluator.evaluate(network(choices), args.seed)
            accuracy = evaluation.accuracy
            curve: list[tuple[int, float, float | str]] = [
                (p.samples, p.accuracy, p.loss) for p in evaluation.trained.curve
            ]
        except Failed as failure:
            accuracy, curve = 0.0, [(0, 0.0, str(failure))]
        row = {"choices": choices, "accuracy": accuracy, "core_s": time.process_time() - begin, "curve": curve}
        with args.out.open("a") as out:
            out.write(json.dumps(row) + "\n")


def zip_longest(chosen: dict[str, list[str]]) -> list[tuple[str, ...]]:
    """The sets in turns, so that a part of a run says something of both."""
    longest = max(map(len, chosen.values()))
    return [tuple(one[i] for one in chosen.values() if i < len(one)) for i in range(longest)]


def recipe_of(changes: dict[str, Any], data: str, seed: int) -> Recipe:
    """The search's default recipe at the data's 32 px, with `changes`."""
    fixed = {"data": data, "reference": 32, "resolution": 32, "precision": "fp32", "seed": seed}
    return QUICK.with_(**{**fixed, **changes})


# ------------------------------------------------------------------------------------------------- judging


def judge(
    table: dict[str, Row],
    chosen: dict[str, list[str]],
    done: dict[str, dict[str, Any]],
    proxied: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    """Rank correlations of every score on every set, and what a candidate took."""
    trained = [one for one in done if one in table]
    accuracies = [done[one]["accuracy"] for one in trained]
    scores = {
        "short training": accuracies,
        "its mean loss": [-float(np.mean([point[2] for point in done[one]["curve"]])) for one in trained],
        "model of it": modelled(trained, accuracies),
        "flops": [table[one].flops for one in trained],
        "params": [table[one].params for one in trained],
    }
    if all(one in proxied for one in trained):
        found = {name: [proxied[one]["scores"][name] for one in trained] for name in proxied[trained[0]]["scores"]}
        scores |= found | {f"model with {HINT}": modelled(trained, accuracies, [found[HINT]])}
    result: dict[str, Any] = {"core_s": float(np.mean([done[one]["core_s"] for one in trained]))}
    return result | {"sets": correlations(trained, scores, table, chosen)}


def modelled(choices: list[str], accuracies: list[float], hints: Sequence[list[float]] = ()) -> list[float]:
    """The search's own opinion, given all of `accuracies`: noise taken out, cost and likeness taken in."""
    parameters = [Parameter(f"layer{i}", ("0", "1", "2"), "layer") for i in range(len(WIDTHS))]
    rows = [{f"layer{i}": digit for i, digit in enumerate(one)} for one in choices]
    costs = [float(cost(network(one), 3, CLASSES).flops) for one in choices]
    return list(map(float, believed(parameters, rows, costs, accuracies, hints)[0]))


if __name__ == "__main__":
    run(main)
