"""Do zero-cost proxies rank networks as long training does, and better than FLOPs? On published trainings.

Scores networks of NAS-Bench-Macro, written in this language, before any training, on 64 images of CIFAR-10, and
holds the ranking against the table's accuracies (mean of three full trainings). Three questions:

    spread   networks drawn uniformly over the table
    like     the same, with what log FLOPs explain by a line taken out of score and accuracy: what a search's
             `--prefilter` makes use of
    band     networks within 5 % of 60 MFLOPs (the table's, multiply-adds), where FLOPs can say nothing

`az_nas` is Lee & Ham's (2024) sum of log ranks of expressivity, progressivity, trainability and FLOPs. The best
sum of two proxies' ranks is information only: it was chosen on the networks that it is shown for.

Each network is kept in --out as it ends, so a stopped run goes on. Nothing was tuned on this table but the choice
of the proxy that the documentation recommends.

    python benchmarks/proxies.py --table nas-bench-macro_cifar10.json --data cifar10/train --out proxies.jsonl

Data: CIFAR-10 as a folder, one sub-folder a class. Times are core-seconds of this process.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from judging import known
from macro_networks import Row, in_band, network, read, spread
from scipy.stats import rankdata

from nas import data as datasets
from nas import device as devices
from nas import proxies
from nas.batches import Images
from nas.cli import Help, positive, run
from nas.ranking import interval, kendall, spearman

BAND, PIXELS = 60_000_000, 32
ASSEMBLED = ("expressivity", "progressivity", "trainability", "flops")
Scores = dict[str, list[float]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    parser.add_argument("--table", type=Path, required=True, metavar="FILE.json", help="the published table")
    parser.add_argument("--data", required=True, metavar="DIR", help="CIFAR-10 as a folder of images")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.jsonl", help="where scores are kept")
    parser.add_argument("--spread", type=positive, default=100, metavar="N")
    parser.add_argument("--band", type=positive, default=60, metavar="N")
    parser.add_argument("--draw", type=int, default=0, help="seed of the draw of networks")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and images")
    parser.add_argument("--threads", type=positive, default=1)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    table = read(args.table)
    chosen = {
        "spread": spread(table, args.spread, args.draw),
        "band": in_band(table, BAND, args.band, args.draw),
    }
    score_missing(args, [*chosen["spread"], *chosen["band"]])
    results = judge(table, chosen, known(args.out))
    print(json.dumps(results, indent=1) if args.json else as_text(results))
    return 0


def score_missing(args: argparse.Namespace, wanted: list[str]) -> None:
    """Score what --out lacks, and keep each as it ends."""
    devices.use_threads(args.threads)
    missing = [one for one in dict.fromkeys(wanted) if one not in known(args.out)]
    if not missing:
        return
    images = Images(datasets.load(args.data, seed=0, size=PIXELS), 3, devices.pick("cpu"))
    for choices in missing:
        row: dict[str, Any] = {"choices": choices, "scores": {}, "core_s": {}}
        for name in proxies.names():
            begin = time.process_time()
            row["scores"] |= proxies.score(network(choices), [name], images, PIXELS, args.seed)
            row["core_s"][name] = time.process_time() - begin
        with args.out.open("a") as out:
            out.write(json.dumps(row) + "\n")


# ------------------------------------------------------------------------------------------------- judging


@dataclass(frozen=True)
class Judged:
    """How well one score ranks one set of networks: both correlations with their 95 % intervals."""

    spearman: float
    spearman_low: float
    spearman_high: float
    kendall: float
    kendall_low: float
    kendall_high: float


def judge(table: dict[str, Row], chosen: dict[str, list[str]], done: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Every score on every set, the best pair of each set, and what a network took."""
    times = {name: float(np.mean([row["core_s"][name] for row in done.values()])) for name in proxies.names()}
    result: dict[str, Any] = {"core_s": times}
    for name, members in chosen.items():
        scores = scores_of(table, members, done)
        truth = [table[one].accuracy for one in members]
        result[name] = about(scores, truth)
        if name == "spread":
            cost = np.log([table[one].flops for one in members])
            like = {label: residuals(cost, values) for label, values in scores.items() if label != "flops"}
            result["like"] = about(like, residuals(cost, truth))
    return result


def scores_of(table: dict[str, Row], members: list[str], done: dict[str, dict[str, Any]]) -> Scores:
    """Each score of the networks, in their order."""
    scores: Scores = {
        "flops": [float(table[one].flops) for one in members],
        "params": [float(table[one].params) for one in members],
    }
    scores |= {name: [done[one]["scores"][name] for one in members] for name in proxies.names()}
    ranks = [rankdata(scores[name]) for name in ASSEMBLED]
    return scores | {"az_nas": np.log(np.stack(ranks) / len(members)).sum(0).tolist()}


def about(scores: Scores, truth: list[float]) -> dict[str, Any]:
    single = {label: asdict(judged(values, truth)) for label, values in scores.items()}
    pairs = {
        f"{one} + {other}": (rankdata(scores[one]) + rankdata(scores[other])).tolist()
        for one, other in combinations(proxies.names(), 2)
    }
    best = max(pairs, key=lambda pair: spearman(pairs[pair], truth))
    return {"n": len(truth), "scores": single, "best_pair": {best: asdict(judged(pairs[best], truth))}}


def judged(score: list[float], truth: list[float]) -> Judged:
    return Judged(
        spearman(score, truth), *interval(spearman, score, truth),
        kendall(score, truth), *interval(kendall, score, truth),
    )  # fmt: skip


def residuals(cost: Sequence[float], values: list[float]) -> list[float]:
    """What a line over log cost leaves of the values; undefined scores stay the lowest."""
    seen = [(x, y) for x, y in zip(cost, values, strict=True) if math.isfinite(y)]
    slope, height = np.polyfit(*zip(*seen, strict=True), 1)
    return [y - slope * x - height for x, y in zip(cost, values, strict=True)]


def as_text(results: dict[str, Any]) -> str:
    times = results.pop("core_s")
    lines = ["set     score                       n  spearman  (95 %)          kendall   (95 %)          core-s"]
    for name, said in results.items():
        ranked = sorted(said["scores"].items(), key=lambda item: -item[1]["spearman"])
        for label, one in [*ranked, *((f"[{pair}]", of) for pair, of in said["best_pair"].items())]:
            shown = "  ".join(
                f"{one[s]:+.2f}     ({one[f'{s}_low']:+.2f}, {one[f'{s}_high']:+.2f})" for s in ("spearman", "kendall")
            )
            seconds = f"{times[label]:.2f}" if label in times else ""
            lines.append(f"{name:7s} {label:26s} {said['n']:3d}  {shown}  {seconds}")
    return "\n".join([*lines, "[…]: the best sum of two proxies' ranks, chosen on these very networks"])


if __name__ == "__main__":
    run(main)
