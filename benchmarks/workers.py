"""Trials a minute of several workers beside one: the same command, the same machine, one after the other.

    python benchmarks/workers.py --workers 2 --trials 24 --repeats 3

Needs a machine that does nothing else. Each run is `nas.search` in a fresh folder. A rate is the trials after the
first of each worker over the time they took: starting up, which a search pays once, is told beside it.

Several workers share the cores out. They are held against two single ones: one with all cores, which says what they
gain, and one with the threads that each of them has, which says whether they are in each other's way.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from nas.device import cores
from nas.store import Stored, open_study


def searched(folder: Path, workers: int, threads: int, args: argparse.Namespace) -> tuple[Stored, float]:
    """The study that the command left, and the seconds that it took."""
    line = [sys.executable, "-m", "nas.search", "--budget", args.budget, "--space", args.space, "--no-export"]
    line += ["--results", str(folder), "--trials", str(args.trials), "--workers", str(workers), "--sampler", "random"]
    line += ["--threads", str(threads)]
    line += ["--trust", "0", "--seed", str(args.seed), *(["--steps", str(args.steps)] if args.steps else [])]
    begin = time.perf_counter()
    subprocess.run(line, check=True, capture_output=True)
    return open_study(f"sqlite:///{folder / 'nas.db'}"), time.perf_counter() - begin


def rate(stored: Stored, workers: int) -> float:
    """Trials a minute from when every worker had finished one."""
    ended = sorted(t.datetime_complete for t in stored.study.trials if t.datetime_complete)
    begin = ended[workers - 1]
    return 60 * (len(ended) - workers) / (ended[-1] - begin).total_seconds()


def measured(workers: int, threads: int, args: argparse.Namespace) -> dict[str, Any]:
    """One search: its seconds, its trials, how many were of a network seen before, trials a minute."""
    with tempfile.TemporaryDirectory() as folder:
        stored, seconds = searched(Path(folder), workers, threads, args)
        texts = [str(c.arch) for c in stored.complete()]
        return {
            "workers": workers,
            "threads": threads,
            "seconds": round(seconds, 1),
            "trials": len(texts),
            "repeats_of_a_network": len(texts) - len(set(texts)),
            "per_minute": round(rate(stored, workers), 2),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--space", default="mobile")
    parser.add_argument("--budget", default="300MFLOPs")
    parser.add_argument("--steps", type=int, help="optimizer steps of a candidate (default: the recipe's)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    each = max(1, cores() // args.workers)
    ways = {"alone": (1, cores()), "alone on a share": (1, each), "together": (args.workers, each)}
    rows = []
    for repeat in range(args.repeats):
        for way, (workers, threads) in ways.items():
            rows.append({"repeat": repeat, "way": way, **measured(workers, threads, args)})
            print(rows[-1], flush=True)
    said: dict[str, Any] = {"cores": cores(), "workers": args.workers}
    rates = {way: [row["per_minute"] for row in rows if row["way"] == way] for way in ways}
    for way in ("alone", "alone on a share"):
        ratios = [b / a for a, b in zip(rates[way], rates["together"], strict=True)]
        said[f"beside one {way}"] = {"ratio": round(statistics.median(ratios), 2), "of": [round(r, 2) for r in ratios]}
    print(json.dumps(said | {"rows": rows}, indent=2) if args.json else said)


if __name__ == "__main__":
    main()
