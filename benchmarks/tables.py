"""Tables in which every network's accuracy is known, as what `nas.known_cost` asks of.

A table is a CSV whose columns are parameters (text or whole numbers), then `accuracy` and `flops`; combinations
without a row are not valid, rows of equal parameters are runs of one network. Two are read as they were published.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from statistics import mean, median

import numpy as np
from numpy.typing import NDArray

from nas.known_cost.domain import Label, Parameter
from nas.pareto import hypervolume

TRIES = 16  # at a mutant or crossover that has a row
SAMPLE = 1_024  # rows among which the nearest is looked for where the very one is missing
NEAREST = 32  # rows that count as a row's neighbours where fewer than that differ in one choice


@dataclass(frozen=True, eq=False)
class Table:
    """All candidates with accuracies and cost. Also what `nas.known_cost` asks of: a candidate is a row's number."""

    name: str
    rows: list[dict[str, Label]]
    runs: list[list[float]]  # accuracies, one a training run
    flops: list[float]

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The columns; those that share their values are of one kind."""
        columns = {name: sorted({row[name] for row in self.rows}, key=_order) for name in self.rows[0]}
        return tuple(Parameter(name, tuple(values), repr(values)) for name, values in columns.items())

    @cached_property
    def dearest(self) -> float:
        return max(self.flops)

    @cached_property
    def places(self) -> dict[tuple[Label, ...], int]:
        """A row's number by its values."""
        return {tuple(row.values()): i for i, row in enumerate(self.rows)}

    def place(self, values: Mapping[str, Label]) -> int | None:
        """A row's number; None when there is no such row."""
        return self.places.get(tuple(values[p.name] for p in self.parameters))

    def draw(self, rng: Random) -> int:
        return rng.randrange(len(self.rows))

    def child(self, one: int, other: int, rng: Random) -> int | None:
        """A mutant or a crossover; where there is no such row, after some tries, the nearest that there is."""
        values = dict(self.rows[one])
        for _ in range(TRIES if self.dense else 1):
            values = dict(self.rows[one])
            if one != other and rng.random() < 0.5:
                values = {name: rng.choice((label, self.rows[other][name])) for name, label in values.items()}
            else:
                redrawn = [p for p in self.parameters if rng.random() < 1 / len(self.parameters)]
                for p in redrawn or [rng.choice(self.parameters)]:
                    values[p.name] = rng.choice(p.options)
            found = self.place(values)
            if found is not None and found not in (one, other):
                return found
        wanted = [self.codes_of[p.name][values[p.name]] for p in self.parameters]
        return next(i for i in self.nearest(np.array(wanted), rng, 3) if i not in (one, other))

    def neighbours(self, one: int) -> Iterator[int]:
        """Rows that differ in one choice; where they are few, also the nearest of some rows."""
        met = 0
        for p in self.parameters:
            for option in p.options:
                if option != self.rows[one][p.name]:
                    found = self.place(self.rows[one] | {p.name: option})
                    if found is not None:
                        met += 1
                        yield found
        if met < min(NEAREST, len(self.parameters)):
            yield from (i for i in self.nearest(self.codes[one], Random(one), NEAREST) if i != one)

    @cached_property
    def codes_of(self) -> dict[str, dict[Label, int]]:
        """Each option's rank in its column."""
        return {p.name: {option: i for i, option in enumerate(p.options)} for p in self.parameters}

    @cached_property
    def codes(self) -> NDArray[np.int16]:
        """The rows as ranks of their options (rows, columns)."""
        columns = [[self.codes_of[p.name][row[p.name]] for row in self.rows] for p in self.parameters]
        return np.array(columns, dtype=np.int16).T

    def nearest(self, wanted: NDArray[np.int16], rng: Random, most: int) -> list[int]:
        """Of a random part of the rows those that differ from `wanted` in the fewest choices."""
        order, codes = self.shuffled
        begin = rng.randrange(max(1, len(order) - SAMPLE + 1))
        apart = np.count_nonzero(codes[begin : begin + SAMPLE] != wanted, axis=1)
        closest = np.argpartition(apart, min(most, len(apart) - 1))[:most]
        found: list[int] = order[begin + closest[np.argsort(apart[closest], kind="stable")]].tolist()
        return found

    @cached_property
    def shuffled(self) -> tuple[NDArray[np.int64], NDArray[np.int16]]:
        """The rows' numbers in an order that means nothing, and their codes in it."""
        order = np.random.default_rng(0).permutation(len(self.rows))
        return order, self.codes[order]

    @cached_property
    def dense(self) -> bool:
        """Whether a change of a row's choices is likely to meet another row."""
        return len(self.rows) * TRIES > math.prod(len(p.options) for p in self.parameters)

    def params(self, one: int) -> dict[str, Label]:
        return self.rows[one]

    def cost(self, one: int) -> float:
        return self.flops[one]

    @cached_property
    def points(self) -> list[tuple[float, float]]:
        """What a row is worth in truth: (mean accuracy, log FLOPs)."""
        return [(mean(runs), math.log(flops)) for runs, flops in zip(self.runs, self.flops, strict=True)]

    @cached_property
    def reference(self) -> tuple[float, float]:
        return median(accuracy for accuracy, _ in self.points), math.log(self.dearest)

    @cached_property
    def whole(self) -> float:
        """Hypervolume of the true front."""
        return hypervolume(self.points, self.reference)

    def missing(self, evaluated: Iterable[int]) -> float:
        """Percent of the hypervolume that these rows do not dominate."""
        return 100 * (1 - hypervolume([self.points[i] for i in evaluated], self.reference) / (self.whole or 1.0))


def _order(label: Label) -> tuple[bool, float, str]:
    return isinstance(label, str), 0.0 if isinstance(label, str) else float(label), str(label)


def macro(path: Path) -> Table:
    """NAS-Bench-Macro as published: the choices of eight layers."""
    words = ("identity", "e3k3", "e6k5")
    table = json.loads(_text(path))
    rows: list[dict[str, Label]] = [{f"layer{i}": words[int(c)] for i, c in enumerate(key, 1)} for key in table]
    return Table("macro", rows, [row["test_acc"] for row in table.values()], [row["flops"] for row in table.values()])


def nb201(path: Path) -> Table:
    """NAS-Bench-201 on CIFAR-10: the operations of six edges."""
    words = ("none", "skip", "conv1", "conv3", "pool")
    table = list(csv.DictReader(_text(path).splitlines()))
    rows: list[dict[str, Label]] = [{f"edge{i}": words[int(c)] for i, c in enumerate(row["key"], 1)} for row in table]
    runs = [[float(row[s]) for s in ("c10_acc_s0", "c10_acc_s1", "c10_acc_s2") if row[s]] for row in table]
    return Table("nb201", rows, runs, [float(row["mflops"]) for row in table])


def any_table(path: Path) -> Table:
    """A CSV of parameters, `accuracy` and `flops`; rows of equal parameters are runs of one network."""
    runs: dict[tuple[tuple[str, str], ...], list[float]] = {}
    flops: dict[tuple[tuple[str, str], ...], float] = {}
    for row in csv.DictReader(_text(path).splitlines()):
        accuracy, cost = float(row.pop("accuracy")), float(row.pop("flops"))
        runs.setdefault(tuple(row.items()), []).append(accuracy)
        flops[tuple(row.items())] = cost
    names = [name for name, _ in next(iter(runs))]
    whole = {name: all(_whole(dict(key)[name]) for key in runs) for name in names}
    rows = [{name: int(text) if whole[name] else text for name, text in key} for key in runs]
    return Table(path.stem, rows, list(runs.values()), list(flops.values()))  # type: ignore[arg-type]  # dict is invariant


def _whole(text: str) -> bool:
    return text.lstrip("-").isdigit()


def _text(path: Path) -> str:
    raw = path.read_bytes()
    return (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
