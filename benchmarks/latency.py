"""Does a table of blocks predict the latency of whole networks that it never saw?

Random networks of the space are timed whole, each beside the table's reference network, and predicted four ways: by
the table; without the blocks' own entries, by rates a multiply-add alone; by FLOPs and a line through the networks that
the table was calibrated on; and by timing them once more, which is as well as anything could be known here. Spearman
comes with its 95 % bootstrap interval. Build the table first, on a quiet machine:

    python -m nas.latency --space mobile --build cpu
    python benchmarks/latency.py --space mobile --table cpu --n 50
"""

import argparse
import json
from dataclasses import replace
from random import Random
from statistics import median
from typing import Any

from nas.cli import Help, add_deployment, chosen_space, positive, run
from nas.latency.backends import find
from nas.latency.build import EACH, Deployed, fitted, line, pace_of, wholes
from nas.latency.predictor import Predictor
from nas.latency.table import Table, Whole, read
from nas.ranking import interval, spearman
from search_spaces.arch import Arch
from search_spaces.cost import cost


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    parser.add_argument("--space", default="mobile", help="a named space, or path/to/file.py:name")
    parser.add_argument("--table", default="cpu", help="the name of a table of this machine")
    parser.add_argument("--n", type=positive, default=50, help="networks")
    parser.add_argument("--seed", type=int, default=0, help="of the networks that are drawn")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    add_deployment(parser)
    options = parser.parse_args()
    table = read(options.table)
    deployed = Deployed(chosen_space(options.space, options.resolution), options.in_channels, options.num_classes)
    backend = find(table.setting)
    pace, _ = pace_of(table, backend, deployed, EACH)

    def timed() -> list[Whole]:
        drawn = Random(f"check {options.seed}")
        return list(wholes(backend, table.setting, deployed, options.n, drawn, EACH, pace))

    first, again = timed(), {whole.arch: whole.ms for whole in timed()}
    ways = {
        "the table": predicted(table, first),
        "rates alone": predicted(fitted(replace(table, trust=0.0)), first),
        "FLOPs": by_flops(table, first),
    }
    rows = {way: judged(ms, [whole.ms for whole in first]) for way, ms in ways.items()}
    both = [whole for whole in first if whole.arch in again]
    rows["timed again"] = judged([again[whole.arch] for whole in both], [whole.ms for whole in both])
    report = {"table": str(table), "n": len(first), "seed": options.seed, "pace": pace.range, "ways": rows}
    if options.json:
        print(json.dumps(report, indent=2))
        return 0
    least, most = pace.range
    print(f"{table}\n{len(first)} networks of {options.space}, seed {options.seed}")
    print(f"the reference took {least:.2f} to {most:.2f} times its usual; all ms are at the usual")
    print(f"{'':12}  Spearman  {'95 %':>14}  median error  largest")
    for way, row in rows.items():
        low, high = row["interval"]
        rank = f"{row['spearman']:8.3f}  {low:6.3f}, {high:6.3f}"
        print(f"{way:12}  {rank}  {row['median']:12.1%}  {row['largest']:7.1%}")
    return 0


def predicted(table: Table, networks: list[Whole]) -> list[float]:
    """Milliseconds by a table."""
    predictor = Predictor(table)
    return [predictor(Arch.parse(n.arch), n.in_channels, n.num_classes).ms for n in networks]


def by_flops(table: Table, networks: list[Whole]) -> list[float]:
    """Milliseconds by a line through the FLOPs of the networks that the table was calibrated on."""

    def flops(whole: Whole) -> float:
        return cost(Arch.parse(whole.arch), whole.in_channels, whole.num_classes).flops / 1e9

    slope, constant = line([(flops(whole), whole.ms) for whole in table.networks])
    return [constant + slope * flops(whole) for whole in networks]


def judged(said: list[float], measured: list[float]) -> dict[str, Any]:
    """How far predictions are from what was measured."""
    errors = [abs(ms / true - 1) for ms, true in zip(said, measured, strict=True)]
    return {
        "spearman": spearman(said, measured),
        "interval": interval(spearman, said, measured),
        "median": median(errors),
        "largest": max(errors),
    }


if __name__ == "__main__":
    run(main)
