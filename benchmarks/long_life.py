"""A long search in one process: memory, open files, threads and time a trial, at the beginning and at the end.

    python benchmarks/long_life.py --trials 5000

A real search of tiny networks: built, counted by fvcore, trained one step at 8 px, validated and recorded in an
SQLite file, with a sampler that keeps nothing of its own. The slope is a least-squares line through the resident
memory at every `--every`-th trial but for the first fifth, which fills caches that have a limit.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from nas import data as datasets
from nas import samplers
from nas.batches import Images
from nas.budgeted import BudgetedSampler
from nas.candidates import Candidate
from nas.evaluate import Evaluator
from nas.loop import Search
from nas.progress import Limits, Progress, Reporter
from nas.recipe import QUICK
from nas.store import create_study
from search_spaces import Arch, IntRange, OneOf, Stage
from search_spaces.blocks.bottleneck import Bottleneck
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.budget import Budget
from search_spaces.feasible import Feasible
from search_spaces.space import Space

STAGE = Stage(Bottleneck(ratio=OneOf(0.25, 0.5)), width=IntRange(8, 64, 8), depth=IntRange(1, 2))
SPACE = Space(
    "tiny", Arch(resolution=8, stem=ConvStem(width=OneOf(8, 16), stride=1), stages=(STAGE,) * 3, head=PoolHead())
)
WARM = 0.2  # of the run


def held() -> dict[str, float]:
    """Resident memory in MiB, open files and threads of this process, as Linux counts them."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    files, threads = (len(os.listdir(f"/proc/self/{name}")) for name in ("fd", "task"))
    return {"rss_mib": round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 2), "files": files, "threads": threads}


class Watch(Reporter):
    """Notes what the process holds as trials end."""

    def __init__(self, every: int) -> None:
        self.every, self.rows, self.last = every, list[dict[str, float]](), time.perf_counter()

    def finished(self, candidate: Candidate, done: int, on_front: bool, seconds_left: float | None) -> None:
        if done % self.every and done != 1:
            return
        gc.collect()
        now = time.perf_counter()
        row = {"trials": done, **held(), "ms_a_trial": round(1e3 * (now - self.last) / self.every, 1)}
        self.rows.append(row)
        self.last = now
        print(row, flush=True)


def few(data: datasets.ImageData) -> datasets.ImageData:
    """Its first images: what is watched is the search, not the training."""
    splits = {
        name: replace(split, images=split.images[:64], labels=split.labels[:64]) for name, split in data.splits.items()
    }
    return replace(data, **splits)


def grown(before: Counter[str], after: Counter[str]) -> list[tuple[str, int]]:
    """Kinds of Python objects of which there are more."""
    return (after - before).most_common(12)


def kinds() -> Counter[str]:
    return Counter(type(each).__qualname__ for each in gc.get_objects())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--every", type=int, default=100)
    parser.add_argument("--sampler", default="random")
    parser.add_argument("--objects", action="store_true", help="also count Python objects that became more")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    feasible = Feasible(SPACE, Budget.parse("20MFLOPs"), 3, 10)
    recipe = QUICK.with_(
        reference=8, resolution=8, steps=1, batch_size=16, glance=16, recalibration=16, precision="fp32"
    )
    images = Images(few(datasets.load("fashion-subset")), 3, torch.device("cpu"))
    watch = Watch(args.every)
    with tempfile.TemporaryDirectory() as folder:
        meta = {"in_channels": 3, "num_classes": 10, "recipe": recipe.to_json(), "folder": folder, "space": "tiny"}
        gate = BudgetedSampler(samplers.find(args.sampler), feasible, seed=0)
        stored = create_study(f"sqlite:///{Path(folder) / 'nas.db'}", "tiny", meta, gate)
        search = Search(stored, feasible, gate, Evaluator(recipe, images), Progress(stored, watch))
        if args.objects:
            search.run(Limits(trials=args.trials // 5))
            before = kinds()
        search.run(Limits(trials=args.trials))
        if args.objects:
            print(grown(before, kinds()))
    rows = [row for row in watch.rows if row["trials"] >= WARM * args.trials]
    slope, _ = np.polyfit([row["trials"] for row in rows], [row["rss_mib"] for row in rows], 1)
    said = {
        "trials": args.trials,
        "mib_per_1000_trials": round(1000 * float(slope), 2),
        "first": rows[0],
        "last": rows[-1],
    }
    print(json.dumps(said | {"rows": watch.rows}, indent=2) if args.json else said)


if __name__ == "__main__":
    main()
