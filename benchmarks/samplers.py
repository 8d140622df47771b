"""How many evaluations does a sampler need? On tables, where every network's accuracy is known.

Percent of the true front's hypervolume that is still missing after n evaluations: accuracy against log
FLOPs, reference point at the table's median accuracy and largest FLOPs. Where a table holds several
training runs of a network an evaluation draws one of them, and the front is judged on their mean. Mean over
seeds with 95 % bootstrap intervals.

Any table will do: a CSV whose columns are parameters (text or whole numbers), then `accuracy` and `flops`;
combinations without a row are not valid. Read as they were published:
`nas-bench-macro_cifar10.json` of github.com/xiusu/NAS-Bench-Macro (Su et al., CVPR 2021; Apache-2.0), and
NAS-Bench-201 on CIFAR-10 (Dong and Yang, ICLR 2020; MIT) as CSV with the columns `key` (six digits),
`mflops` and `c10_acc_s0` to `c10_acc_s2`.

A sampler whose name ends in `+` does not pay for repeats: it is told again what it knows, and asked again.
A combination without a row fails, free of charge.

    python benchmarks/samplers.py --macro nas-bench-macro_cifar10.json --seeds 20
    python benchmarks/samplers.py --table mine.csv --samplers known_cost,random,tpe+ --ablate
"""

from __future__ import annotations

import argparse
import json
import math
import time
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from random import Random
from statistics import mean

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from tables import Table, any_table, macro, nb201

from nas.cli import Help, run
from nas.errors import UserError
from nas.known_cost.belief import Known, Options
from nas.known_cost.domain import Parameter
from nas.known_cost.proposal import propose
from nas.pareto import layers

MARKS = (50, 100, 200, 300)
OPTUNAS = ("tpe", "tpe-multivariate", "nsga2", "nsga3", "gp")
PATIENCE = 200  # free proposals in a row before a uniform draw takes over


# -------------------------------------------------------------------------------------------------- samplers

Evaluate = Callable[[int], float]
Sampler = Callable[[Table, Evaluate, int, int], list[int]]
"""(table, how to evaluate a row, evaluations, seed) → the rows evaluated, in order"""


def known_cost(options: Options) -> Sampler:
    """This project's: `nas.known_cost`."""

    def search(table: Table, evaluate: Evaluate, evaluations: int, seed: int) -> list[int]:
        done: list[tuple[int, float]] = []
        while len(done) < evaluations:
            proposed = propose(table, Known(done), seed * 100_003 + len(done), options)
            if not proposed:
                break
            done.append((proposed[0], evaluate(proposed[0])))
        return [one for one, _ in done]

    return search


def from_optuna(make: Callable[[int], optuna.samplers.BaseSampler], again: bool) -> Sampler:
    """A sampler of Optuna's; `again`: repeats are answered from memory and cost nothing."""

    def search(table: Table, evaluate: Evaluate, evaluations: int, seed: int) -> list[int]:
        study = optuna.create_study(directions=["maximize", "minimize"], sampler=make(seed))
        space: dict[str, BaseDistribution] = {p.name: _distribution(p) for p in table.parameters}
        found: list[int] = []
        known: dict[int, float] = {}
        rng, idle = Random(seed), 0
        while len(found) < evaluations and len(known) < len(table.rows):
            if idle >= PATIENCE:
                fresh = rng.choice([i for i in range(len(table.rows)) if i not in known])
                study.enqueue_trial(table.rows[fresh])
            trial = study.ask(space)
            one = table.place(trial.params)
            if one is None:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
                idle += 1
                continue
            free = again and one in known
            accuracy = known[one] if free else evaluate(one)
            study.tell(trial, [accuracy, math.log(table.cost(one))])
            if not free:
                found.append(one)
                known[one] = accuracy
            idle = idle + 1 if free else 0
        return found

    return search


def _distribution(parameter: Parameter) -> BaseDistribution:
    """Words as categories; whole numbers as a range where they have an even step, else as categories."""
    numbers = [int(option) for option in parameter.options] if parameter.ordered else []
    steps = {b - a for a, b in pairwise(numbers)}
    if len(steps) == 1:
        return IntDistribution(numbers[0], numbers[-1], step=steps.pop())
    return CategoricalDistribution(parameter.options)


def uniform(again: bool) -> Sampler:
    """Uniform draws."""

    def search(table: Table, evaluate: Evaluate, evaluations: int, seed: int) -> list[int]:
        rng = Random(seed)
        if again:
            return rng.sample(range(len(table.rows)), min(evaluations, len(table.rows)))
        return [table.draw(rng) for _ in range(evaluations)]

    return search


def evolution(table: Table, evaluate: Evaluate, evaluations: int, seed: int) -> list[int]:
    """Mutants and crossovers of the better half by Pareto rank, as `nas.samplers.evolution`; no repeats."""
    return _bred(table, evaluate, evaluations, seed, lambda known: max(4, len(known) // 2))


def local(table: Table, evaluate: Evaluate, evaluations: int, seed: int) -> list[int]:
    """A neighbour of a front member, as long as there is a new one; no repeats."""
    return _bred(table, evaluate, evaluations, seed, None)


def _bred(
    table: Table, evaluate: Evaluate, evaluations: int, seed: int, kept: Callable[[dict[int, float]], int] | None
) -> list[int]:
    rng, known = Random(seed), dict[int, float]()
    while len(known) < min(evaluations, len(table.rows)):
        one = table.draw(rng)
        if len(known) >= 8:
            ids = list(known)
            ranked = layers([(known[i], table.cost(i)) for i in ids])
            if kept is None:
                near = [n for i in ranked[0] for n in table.neighbours(ids[i]) if n not in known]
                one = rng.choice(near) if near else one
            else:
                parents = [ids[i] for layer in ranked for i in layer][: kept(known)]
                child = table.child(rng.choice(parents), rng.choice(parents), rng)
                one = one if child is None else child
        if one not in known:
            known[one] = evaluate(one)
    return list(known)


def samplers() -> dict[str, Sampler]:
    """All by name."""
    made: dict[str, Callable[[int], optuna.samplers.BaseSampler]] = {
        "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed),
        "tpe-multivariate": lambda seed: optuna.samplers.TPESampler(seed=seed, multivariate=True),
        "nsga2": lambda seed: optuna.samplers.NSGAIISampler(seed=seed),
        "nsga3": lambda seed: optuna.samplers.NSGAIIISampler(seed=seed),
        "gp": lambda seed: optuna.samplers.GPSampler(seed=seed, deterministic_objective=False),
    }
    found: dict[str, Sampler] = {
        "known_cost": known_cost(Options()),
        "random": uniform(False),
        "random+": uniform(True),
    }
    found |= {name: from_optuna(make, False) for name, make in made.items()}
    found |= {f"{name}+": from_optuna(make, True) for name, make in made.items()}
    return found | {"evolution+": evolution, "local+": local}


ABLATIONS: dict[str, Options] = {
    "without cost as a feature": Options(cost_feature=False),
    "without sums by kind": Options(kind_features=False),
    "sums in every proposal": Options(in_turns=False),
    "likeliest length scales only": Options(drawn_scales=False),
    "without children of the front": Options(front_children=False),
    "without climbing": Options(climbs=0),
    "scalarised, not hypervolume": Options(hypervolume=False),
    "without noise": Options(noise=False),
    "uniform start": Options(spread_start=False),
    "accuracies unsquashed": Options(squash=False),
}


# ------------------------------------------------------------------------------------------------ the comparison


def measured(table: Table, sampler: Sampler, seeds: int, marks: list[int]) -> list[list[float]]:
    """Percent missing by seed, at each mark."""

    def one(seed: int) -> list[float]:
        noise = Random(f"{table.name}/{seed}")
        rows = sampler(table, lambda i: noise.choice(table.runs[i]), marks[-1], seed)
        return [table.missing(rows[:mark]) for mark in marks]

    return [one(seed) for seed in range(seeds)]


def interval(values: list[float]) -> tuple[float, float]:
    """95 % of the means of 10,000 resamples lie within."""
    means = np.random.default_rng(0).choice(values, (10_000, len(values))).mean(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def compare(
    table: Table, chosen: dict[str, Sampler], seeds: int, marks: list[int], keep: Callable[[str, object], None]
) -> None:
    """Print a line a sampler as it is done and `keep` its numbers; then how this project's stands to Optuna's best."""
    size = f"{len(table.rows):,} networks, {len(table.parameters)} parameters"
    print(f"\n{table.name}: {size}; {seeds} seeds (0 to {seeds - 1})")
    print("% of hypervolume missing".ljust(32), *(f"{f'at {mark}':>20}" for mark in marks), f"{'s a run':>9}", sep="")
    curves: dict[str, list[float]] = {}
    for name, sampler in chosen.items():
        started = time.perf_counter()
        values = measured(table, sampler, seeds, marks)
        seconds = (time.perf_counter() - started) / seeds
        columns = [list(column) for column in zip(*values, strict=True)]
        curves[name] = [mean(column) for column in columns]
        cells = (f"{mean(c):.1f} [{interval(c)[0]:.1f}, {interval(c)[1]:.1f}]" for c in columns)
        print(name.ljust(32), *(f"{cell:>20}" for cell in cells), f"{seconds:9.1f}", sep="", flush=True)
        keep(f"{table.name}/{name}", {"marks": marks, "missing": values, "seconds": seconds})
    _ratios(curves, marks)


def _ratios(curves: dict[str, list[float]], marks: list[int]) -> None:
    """What the best of Optuna's misses over what `known_cost` does, and where `known_cost` has caught up."""
    rivals = [name for name in curves if name.removesuffix("+") in OPTUNAS]
    if "known_cost" not in curves or not rivals:
        return
    ours = curves["known_cost"]
    best = min(rivals, key=lambda name: curves[name][-1])
    level = curves[best][-1]
    there = next((str(mark) for mark, value in zip(marks, ours, strict=True) if value <= level), "never")
    print(f"Optuna's best at {marks[-1]} is {best}, {level:.1f}; known_cost is there at: {there} (of {marks})")
    least = [min(curves[name][i] for name in rivals) for i in range(len(marks))]
    shares = (f"{b / max(a, 1e-9):.1f} at {mark}" for a, b, mark in zip(ours, least, marks, strict=True))
    print(f"what the best of Optuna's misses over what known_cost misses: {', '.join(shares)}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    parser.add_argument("--macro", type=Path, metavar="FILE.json", help="NAS-Bench-Macro as published")
    parser.add_argument("--nb201", type=Path, metavar="FILE.csv.gz", help="NAS-Bench-201, CIFAR-10")
    parser.add_argument("--table", type=Path, action="append", default=[], metavar="FILE.csv", help="any table")
    parser.add_argument("--seeds", type=int, default=20, metavar="N", help="searches a sampler, seeds 0 to N - 1")
    parser.add_argument("--evaluations", type=int, default=300, metavar="N", help="of one search")
    parser.add_argument("--samplers", metavar="NAME,…", help="default: all but gp and gp+, which are slow")
    parser.add_argument("--ablate", action="store_true", help="also known_cost with each of its ideas off")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every seed's numbers, after each sampler")
    options = parser.parse_args()
    known = samplers()
    names = options.samplers.split(",") if options.samplers else [n for n in known if n not in ("gp", "gp+")]
    if strangers := [name for name in names if name not in known]:
        raise UserError(f"--samplers are of {', '.join(known)}, but got {', '.join(strangers)}")
    if options.seeds < 1 or options.evaluations < 1:
        raise UserError(f"--seeds and --evaluations are at least 1, but got {options.seeds}, {options.evaluations}")
    chosen = {name: known[name] for name in names}
    if options.ablate:
        chosen |= {f"  {name}": known_cost(changed) for name, changed in ABLATIONS.items()}
    marks = [mark for mark in MARKS if mark < options.evaluations] + [options.evaluations]
    warnings.simplefilter("ignore")  # of what is experimental in Optuna
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    found: dict[str, object] = {}

    def keep(name: str, numbers: object) -> None:
        found[name] = numbers
        if options.json:
            options.json.write_text(json.dumps(found, indent=1))

    for table in _tables(options):
        compare(table, chosen, options.seeds, marks, keep)
    return 0


def _tables(options: argparse.Namespace) -> list[Table]:
    asked = [(macro, options.macro), (nb201, options.nb201), *((any_table, path) for path in options.table)]
    tables = []
    for read, path in asked:
        if path:
            try:
                tables.append(read(path))
            except (OSError, ValueError, AttributeError, TypeError, LookupError, StopIteration) as error:
                raise UserError(f"a table must be as its option says, but {path} is not: {error!r}") from None
    if not tables:
        raise UserError("a comparison needs a table: --macro, --nb201 or --table")
    return tables


if __name__ == "__main__":
    run(main)
