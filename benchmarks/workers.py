"""Trials a minute of several workers beside one: the same command, the same machine, one after the other.

    python benchmarks/workers.py --workers 2 --trials 24 --repeats 3

Needs a machine that does nothing else. Each run is `nas.search` in a fresh folder. A rate is the trials after the
first of each worker over the time they took: starting up, which a search pays once, is told beside it.
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

from nas.device import cores
from nas.store import Stored, open_study


def searched(folder: Path, workers: int, args: argparse.Namespace) -> tuple[Stored, float]:
    """The study that the command left, and the seconds that it took."""
    line = [sys.executable, "-m", "nas.search", "--budget", args.budget, "--space", args.space, "--no-export"]
    line += ["--results", str(folder), "--trials", str(args.trials), "--workers", str(workers), "--sampler", "random"]
    line += ["--trust", "0", "--seed", str(args.seed), *(["--steps", str(args.steps)] if args.steps else [])]
    begin = time.perf_counter()
    subprocess.run(line, check=True, capture_output=True)
    return open_study(f"sqlite:///{folder / 'nas.db'}"), time.perf_counter() - begin


def rate(stored: Stored, workers: int) -> float:
    """Trials a minute from when every worker had finished one."""
    ended = sorted(t.datetime_complete for t in stored.study.trials if t.datetime_complete)
    begin = ended[workers - 1]
    return 60 * (len(ended) - workers) / (ended[-1] - begin).total_seconds()


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
    rows = []
    for repeat in range(args.repeats):
        for workers in (1, args.workers):
            with tempfile.TemporaryDirectory() as folder:
                stored, seconds = searched(Path(folder), workers, args)
                texts = [str(c.arch) for c in stored.complete()]
                row = {"repeat": repeat, "workers": workers, "seconds": round(seconds, 1), "trials": len(texts)}
                row |= {
                    "repeats_of_a_network": len(texts) - len(set(texts)),
                    "per_minute": round(rate(stored, workers), 2),
                }
            rows.append(row)
            print(row, flush=True)
    one, several = ([r["per_minute"] for r in rows if r["workers"] == n] for n in (1, args.workers))
    ratios = [b / a for a, b in zip(one, several, strict=True)]
    said = {"cores": cores(), "ratio": round(statistics.median(ratios), 2), "ratios": [round(r, 2) for r in ratios]}
    print(json.dumps(said | {"rows": rows}, indent=2) if args.json else said)


if __name__ == "__main__":
    main()
