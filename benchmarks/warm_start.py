"""What is an earlier search worth to a later one? On tables with known accuracies.

The earlier search (`known_cost`) is of --earlier evaluations among the cheaper half of a table's networks, with
accuracies that are wrong as those of short training are: the truth's ranks, and normal noise of --noise of their
deviation. The later one has the whole table and its accuracies. Percent of the true front's hypervolume missing (see
`samplers.py`):

    known_cost   without the earlier one
    seeds        its best 8 are evaluated first
    told         these 8, and its accuracies are an input of the model: `nas.search --seeds-from study:NAME`
    misled       as told, by an earlier search whose accuracies are nothing but noise

Nothing was chosen by these figures.

    python benchmarks/warm_start.py --macro nas-bench-macro_cifar10.json --nb201 nas-bench-201.csv.gz
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from random import Random
from statistics import median

import numpy as np
from samplers import MARKS, Evaluate, Sampler, compare, known_cost
from scipy.stats import rankdata
from tables import Table, any_table, macro, nb201

from nas.cli import Help, positive, run
from nas.earlier import SEEDS, in_turn
from nas.errors import UserError
from nas.known_cost.belief import Known, Options
from nas.known_cost.proposal import memory, propose


class Before(Table):
    """The cheaper half of a table, in which an earlier search looks."""

    @cached_property
    def half(self) -> list[int]:
        """Its rows."""
        middle = median(self.flops)
        return [i for i, flops in enumerate(self.flops) if flops <= middle]

    def draw(self, rng: Random) -> int:
        return rng.choice(self.half)

    def child(self, one: int, other: int, rng: Random) -> int | None:
        found = super().child(one, other, rng)
        return found if found is not None and self.flops[found] <= self.dearest else None

    @cached_property
    def dearest(self) -> float:
        return max(self.flops[i] for i in self.half)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    parser.add_argument("--macro", type=Path, metavar="FILE.json", help="NAS-Bench-Macro as published")
    parser.add_argument("--nb201", type=Path, metavar="FILE.csv.gz", help="NAS-Bench-201, CIFAR-10")
    parser.add_argument("--table", type=Path, metavar="FILE.csv", help="any table")
    parser.add_argument("--earlier", type=positive, default=60, metavar="N", help="evaluations of the earlier search")
    parser.add_argument("--noise", type=float, default=0.5, metavar="X", help="deviations of the ranks")
    parser.add_argument("--seeds", type=positive, default=20, metavar="N", help="searches a way, seeds 0 to N - 1")
    parser.add_argument("--evaluations", type=positive, default=100, metavar="N", help="of the later search")
    args = parser.parse_args()
    read = [(macro, args.macro), (nb201, args.nb201), (any_table, args.table)]
    tables = [reads(path) for reads, path in read if path]
    if not tables:
        raise UserError("a comparison needs a table: --macro, --nb201 or --table")
    warnings.simplefilter("ignore")
    marks = [mark for mark in (15, 25, *MARKS) if mark < args.evaluations] + [args.evaluations]
    for table in tables:
        ways = {
            "known_cost": known_cost(Options()),
            "seeds": warmed(args.earlier, args.noise, told=False),
            "told": warmed(args.earlier, args.noise, told=True),
            "misled": warmed(args.earlier, float("inf"), told=True),
        }
        compare(table, ways, args.seeds, marks, lambda name, numbers: None)
    return 0


def warmed(evaluations: int, noise: float, told: bool) -> Sampler:
    """The later search, after one of so many evaluations."""

    def search(table: Table, evaluate: Evaluate, wanted: int, seed: int) -> list[int]:
        before = Before(table.name, table.rows, table.runs, table.flops)
        old = searched(before, wrong(table, noise, seed), evaluations, seed)
        best = in_turn([(accuracy, table.cost(one)) for one, accuracy in old])[:SEEDS]
        hints = [memory(table, old)] if told else []
        done = [(old[i][0], evaluate(old[i][0])) for i in best]
        while len(done) < wanted:
            one = propose(table, Known(done), seed * 100_003 + len(done), hints=hints)[0]
            done.append((one, evaluate(one)))
        return [one for one, _ in done]

    return search


def searched(table: Table, accuracy: Callable[[int], float], evaluations: int, seed: int) -> list[tuple[int, float]]:
    """Rows and accuracies of a search from nothing."""
    done: list[tuple[int, float]] = []
    while len(done) < evaluations:
        one = propose(table, Known(done), seed * 100_003 + 50_000 + len(done))[0]
        done.append((one, accuracy(one)))
    return done


def wrong(table: Table, noise: float, seed: int) -> Callable[[int], float]:
    """Accuracies on [0, 1] that rank roughly: the true ranks with noise of so many of their deviations."""
    places = rankdata([accuracy for accuracy, _ in table.points]) / len(table.rows)
    rng = np.random.default_rng(seed)
    drawn = rng.normal(size=len(places)) * places.std()
    told = drawn if noise == float("inf") else places + noise * drawn
    spread = (rankdata(told) / len(told)).tolist()
    return lambda one: float(spread[one])


if __name__ == "__main__":
    run(main)
