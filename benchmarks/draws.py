"""What do draws within a budget look like, and what do the usual alternatives do to them?

Draws networks within a budget and holds the depth (blocks) and mean width (channels a stage) against
an independent reference: uniform samples of the whole space, kept where they fit (plain rejection).
Beside it, two usual ways to meet a budget: sample anything and repair it, and shrink choices one by
one, at random, until it fits. The two-sample Kolmogorov-Smirnov statistic is the largest gap between
two distribution functions; between two samples of one distribution it stays below the value shown in
95 of 100 cases. Exits with 1 when a draw is over budget.

    python benchmarks/draws.py --budget 300MFLOPs
    python benchmarks/draws.py --space mixed --budget 150MFLOPs --n 2000 --json
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from random import Random
from statistics import fmean, quantiles
from typing import Any

from scipy.stats import ks_2samp

from nas.cli import Help, add_deployment, add_space, chosen_space, positive, run
from search_spaces.arch import Arch
from search_spaces.feasible import Feasible

MEASURES: dict[str, Callable[[Arch], float]] = {
    "depth": lambda arch: arch.depth,
    "width": lambda arch: fmean(stage.width for stage in arch.stages),
}
EXACT = ("reference", "draws")
WAYS = (*EXACT, "repaired", "shrunk")
BARS = " ▁▂▃▄▅▆▇█"
BINS = 16


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    add_space(parser)
    add_deployment(parser)
    parser.add_argument("--n", type=positive, default=10_000, help="draws, and networks of the reference")
    parser.add_argument("--alternatives", type=positive, default=1_000, help="networks of the slower alternatives")
    parser.add_argument("--seed", type=int, default=0, help="seed; each way draws from its own stream")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args()
    space = chosen_space(options.space, options.resolution)
    feasible = Feasible(space, options.budget, options.in_channels, options.num_classes)
    feasible.draw(Random(0))  # the tables are made once a search
    rows = {}
    for way in WAYS:
        n = options.n if way in EXACT else options.alternatives
        rows[way] = measured(proposals(way, feasible, Random(f"{way} {options.seed}")), n, feasible)
    compare(rows)
    report: dict[str, Any] = {
        "space": space.name,
        "resolutions": space.resolutions,
        "budget": str(options.budget),
        "seed": options.seed,
        "share": feasible.share(),
        "ways": rows,
    }
    print(json.dumps(report, indent=1, default=float) if options.json else table(report))
    return int(rows["draws"]["over"] > 0)


# ----------------------------------------------------------------------------------- ways to propose


def proposals(way: str, feasible: Feasible, rng: Random) -> Iterator[Arch]:
    """An endless stream of networks that claim to fit."""
    while True:
        if way == "draws":
            yield feasible.draw(rng)[0]
        elif way == "repaired":
            yield feasible.repair(feasible.space.sample(rng))
        elif way == "shrunk":
            yield shrunk(feasible, rng)
        else:
            arch = feasible.space.sample(rng)
            if feasible.fits(arch):
                yield arch


def shrunk(feasible: Feasible, rng: Random) -> Arch:
    """Lower one random choice that can be lowered, again and again, until the network fits."""
    arch = feasible.space.sample(rng)
    while not feasible.fits(arch):
        before = feasible.cost(arch)
        smaller = [near for near in feasible.space.neighbours(arch) if feasible.cost(near).flops < before.flops]
        if not smaller:
            return arch
        arch = rng.choice(smaller)
    return arch


# ------------------------------------------------------------------------------------- measuring them


def measured(stream: Iterator[Arch], n: int, feasible: Feasible) -> dict[str, Any]:
    """Take n proposals; count what is over budget or repeated, and time the distinct in-budget ones."""
    started = time.perf_counter()
    archs = [next(stream) for _ in range(n)]
    seconds = time.perf_counter() - started
    over = sum(not feasible.budget.fits(feasible.cost(arch)) for arch in archs)
    distinct = set(archs)
    good = sum(feasible.budget.fits(feasible.cost(arch)) for arch in distinct)
    values = {name: sorted(measure(arch) for arch in archs) for name, measure in MEASURES.items()}
    return {
        "n": n,
        "over": over,
        "repeats": n - len(distinct),
        "distinct_per_s": good / seconds,
        **{name: {"values": found, "deciles": quantiles(found, n=10)} for name, found in values.items()},
    }


def compare(rows: dict[str, dict[str, Any]]) -> None:
    """Add each way's histogram and its distance from the reference; drop the values themselves."""
    for name in MEASURES:
        reference = rows["reference"][name]["values"]
        low, high, bins = reference[0], reference[-1], min(BINS, len(set(reference)))
        for way in reversed(WAYS):  # the reference last: the others are held against it
            row = rows[way][name]
            values = row.pop("values")
            row["ks_95"] = 1.358 * (1 / len(reference) + 1 / len(values)) ** 0.5
            row["ks"] = ks_2samp(reference, values).statistic
            row["histogram"] = histogram(values, low, high, bins)


def histogram(values: list[float], low: float, high: float, bins: int) -> list[int]:
    """Counts in equal bins from low to high; what lies outside is counted in the first and last."""
    counts = [0] * bins
    for value in values:
        place = int((value - low) / ((high - low) or 1) * bins)
        counts[min(max(place, 0), bins - 1)] += 1
    return counts


# ------------------------------------------------------------------------------------------ the table


def table(report: dict[str, Any]) -> str:
    """The report as text."""
    least, most = report["share"]
    lines = [
        f"{report['space']} at {'-'.join(map(str, report['resolutions']))} px, budget {report['budget']}: "
        f"{least:.3%} to {most:.3%} of the space fits; seed {report['seed']}",
        f"{'':<11}{'n':>7}{'over':>7}{'repeats':>9}{'distinct/s':>12}",
    ]
    ways: dict[str, dict[str, Any]] = report["ways"]
    for way, row in ways.items():
        lines.append(f"{way:<11}{row['n']:>7}{row['over']:>7}{row['repeats']:>9}{row['distinct_per_s']:>12,.0f}")
    for name in MEASURES:
        lines.append(f"{name + ': deciles':<78}{'histogram':<18}KS (of one distribution)")
        for way, row in ways.items():
            found = row[name]
            deciles = " ".join(f"{value:6.1f}" for value in found["deciles"])
            lines.append(
                f"  {way:<11}{deciles:<65}{bars(found['histogram']):<18}{found['ks']:.3f} (< {found['ks_95']:.3f})"
            )
    return "\n".join(lines)


def bars(counts: list[int]) -> str:
    """Counts as a row of bars."""
    largest = max(counts) or 1
    return "".join(BARS[-(-count * (len(BARS) - 1) // largest)] for count in counts)


if __name__ == "__main__":
    run(main)
