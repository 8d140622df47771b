"""Does a zero-cost proxy help a search, and how should it be listened to? On tables with known accuracies.

Three ways of the sampler `known_cost`, percent of the true front's hypervolume missing (see `samplers.py`):

    alone    without a proxy
    picks    of the N most promising networks the one goes on whose score lies highest above its cost's
    told     of the same N the one goes on that promises most once the model reads that score too, whose worth it
             learns from the evaluations of the search: `nas.search --prefilter naswot:Nx`

Every network of a table is scored once before any training, on 64 images, and kept in --scores, so a stopped run goes
on; a second run has no need of the images. Networks are NAS-Bench-Macro's, or those of `trained_table.py`.

    python benchmarks/prefilters.py --macro nas-bench-macro_cifar10.json --data cifar10/ --scores macro-naswot.csv
    python benchmarks/prefilters.py --trained trained.csv --data cifar10/ --scores trained-naswot.csv
"""

from __future__ import annotations

import argparse
import csv
import gzip
import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from random import Random

import numpy as np
import trained_table
from nas_bench_macro import network
from samplers import MARKS, Evaluate, Sampler, compare, known_cost
from tables import Table, any_table, macro

from nas import data as datasets
from nas import device as devices
from nas import proxies
from nas.batches import Images
from nas.cli import Help, positive, run
from nas.errors import UserError
from nas.known_cost.belief import Known, Options
from nas.known_cost.encoder import Array
from nas.known_cost.proposal import propose, reconsidered
from nas.prefilter import FARTHEST, USUAL, Rule, Usual
from search_spaces.arch import Arch
from search_spaces.holes import Hole, Label

PIXELS = 32
SHORTLISTS = (4, 16)
MACRO_WORDS = ("identity", "e3k3", "e6k5")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    parser.add_argument("--macro", type=Path, metavar="FILE.json", help="NAS-Bench-Macro as published")
    parser.add_argument("--trained", type=Path, metavar="FILE.csv", help="a table of trained_table.py")
    parser.add_argument("--data", metavar="DIR", help="CIFAR-10 as a folder of images, where scores are missing")
    parser.add_argument("--scores", type=Path, required=True, metavar="FILE.csv", help="where scores are kept")
    parser.add_argument("--proxy", default="naswot", help=f"of {', '.join(proxies.names())}")
    parser.add_argument("--rows", type=positive, metavar="N", help="so many rows, drawn from the table, instead of all")
    parser.add_argument("--seeds", type=positive, default=20, metavar="N", help="searches a way, seeds 0 to N - 1")
    parser.add_argument("--evaluations", type=positive, default=100, metavar="N", help="of one search")
    args = parser.parse_args()
    if bool(args.macro) == bool(args.trained):
        raise UserError("a comparison needs one table: --macro or --trained")
    table = macro(args.macro) if args.macro else any_table(args.trained)
    if args.rows and args.rows < len(table.rows):
        kept = sorted(Random(0).sample(range(len(table.rows)), args.rows))
        parts = ([column[i] for i in kept] for column in (table.rows, table.runs, table.flops))
        table = Table(table.name, *parts)
    archs = [macro_network(row) if args.macro else trained_network(row) for row in table.rows]
    scores = scored(archs, args.scores, proxies.find(args.proxy).name, args.data)
    ways = {"known_cost": known_cost(Options())}
    for most in SHORTLISTS:
        rule = Rule(args.proxy, most)
        ways |= {f"  {rule} picks": prefiltered(rule, scores, False), f"  {rule} told": prefiltered(rule, scores, True)}
    warnings.simplefilter("ignore")
    marks = [mark for mark in (25, *MARKS) if mark < args.evaluations] + [args.evaluations]
    compare(table, ways, args.seeds, marks, lambda name, numbers: None)
    return 0


# ------------------------------------------------------------------------------------------------ the search


def prefiltered(rule: Rule, scores: list[float], told: bool) -> Sampler:
    """`known_cost` with a proxy, as `nas.prefilter` and the gate use it."""

    def search(table: Table, evaluate: Evaluate, evaluations: int, seed: int) -> list[int]:
        rng = Random(seed)
        usual = [table.draw(rng) for _ in range(USUAL)]
        line = Usual.of([table.cost(one) for one in usual], [scores[one] for one in usual])

        def advantage(one: int) -> float:
            return line.above(table.cost(one), scores[one])

        def hint(items: Sequence[int]) -> Array:
            return np.clip([advantage(one) for one in items], -FARTHEST, FARTHEST)

        done: list[tuple[int, float]] = []
        while len(done) < evaluations:
            known, turn = Known(done), seed * 100_003 + len(done)
            listed = propose(table, known, turn)[: rule.proposals]
            if not listed:
                break
            best = reconsidered(table, known, listed, [hint], usual, turn) if told else []
            one = best[0] if best else max(listed, key=advantage)
            done.append((one, evaluate(one)))
        return [one for one, _ in done]

    return search


# ------------------------------------------------------------------------------------------------ the scores


def macro_network(row: dict[str, Label]) -> Arch:
    """A row of NAS-Bench-Macro in this language."""
    return network("".join(str(MACRO_WORDS.index(str(word))) for word in row.values())).at(PIXELS)


def trained_network(row: dict[str, Label]) -> Arch:
    """A row of `trained_table.py`, written again."""

    def choose(path: str, hole: Hole) -> Label:
        return next(label for label in hole.labels if len(hole.labels) == 1 or str(label) == str(row[path]))

    return trained_table.SPACE.build(choose)


def scored(archs: list[Arch], path: Path, proxy: str, data: str | None) -> list[float]:
    """Scores by row of the table, those that are missing read from images and kept."""
    kept = {text: float(score) for text, score in _lines(path)}
    missing = [arch for arch in archs if str(arch) not in kept]
    if missing and not data:
        raise UserError(f"networks are scored on images, but {len(missing)} have no score and --data is not given")
    if missing:
        if path.suffix == ".gz":
            raise UserError(f"scores are added to a plain file, but {path} is packed and lacks {len(missing)}")
        _images(str(data))  # decoded once, and kept for the processes to come
        with path.open("a", newline="") as file, ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
            rows, found = csv.writer(file), pool.map(Scorer(proxy, str(data)), missing, chunksize=8)
            for i, (arch, score) in enumerate(zip(missing, found, strict=True), 1):
                kept[str(arch)] = score
                rows.writerow([arch, score])
                if i % 200 == 0:
                    print(f"{i} of {len(missing)} scored", flush=True)
    return [kept[str(arch)] for arch in archs]


def _lines(path: Path) -> Iterator[list[str]]:
    if path.is_file():
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
            yield from csv.reader(file)


@dataclass(frozen=True)
class Scorer:
    """A proxy on a folder of images, in any process."""

    proxy: str
    data: str

    def __call__(self, arch: Arch) -> float:
        return proxies.score(arch, [self.proxy], _images(self.data), arch.resolution)[self.proxy]


@lru_cache(maxsize=1)
def _images(data: str) -> Images:
    devices.use_threads(1)
    return Images(datasets.load(data, seed=0, size=PIXELS), 3, devices.pick("cpu"))


if __name__ == "__main__":
    run(main)
