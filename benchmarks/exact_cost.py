"""Is the exact cost exact, and how much faster than building and tracing the network?

Draws random networks from every named space, reads each at a random odd resolution with 1 or 3 input
channels and a random number of classes, and holds flops, params and activations against fvcore's count
of the built module. Exits with 1 when one number of one network differs.

    python benchmarks/exact_cost.py
    python benchmarks/exact_cost.py --spaces mobile mixed --n 50 --json
"""

import argparse
import json
import random
import statistics
import sys
import time
from dataclasses import dataclass
from typing import Any

import torch

from nas.build import build
from nas.cli import Help, positive, run
from nas.profile import profile
from search_spaces.arch import Arch
from search_spaces.cost import cost
from search_spaces.spaces import find, names

RESOLUTIONS = range(65, 257, 2)
CHANNELS = (1, 3)
CLASSES = (2, 10, 100, 1000)
HEADER = f"{'space':<12}{'n':>5}{'differ':>8}{'cold µs':>10}{'warm µs':>10}{'fvcore ms':>11}{'cold ×':>9}{'warm ×':>9}"


@dataclass(frozen=True)
class Timed:
    """One network: whether both counts agree, and the seconds that each took."""

    text: str
    agrees: bool
    cold_s: float
    warm_s: float
    traced_s: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    parser.add_argument("--n", type=positive, default=200, help="networks a space")
    parser.add_argument("--spaces", nargs="+", default=names(), metavar="SPACE", help="spaces to draw from")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draws")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    if not options.json:
        print(f"seed {options.seed}, torch {torch.__version__}, 1 thread; median times")
        print(HEADER)
    for space in options.spaces:
        row = measured(space, options.n, options.seed)
        rows.append(row)
        if not options.json:
            print(line(row), flush=True)
    if options.json:
        print(json.dumps({"seed": options.seed, "torch": torch.__version__, "spaces": rows}, indent=1))
    return int(any(row["mismatches"] for row in rows))


def measured(name: str, n: int, seed: int) -> dict[str, Any]:
    """Draw, count both ways, and take the medians of one space."""
    space, rng = find(name), random.Random(f"{name} {seed}")
    timings = []
    for _ in range(n):
        drawn = space.sample(rng).at(rng.choice(RESOLUTIONS))
        timings.append(timed(drawn, rng.choice(CHANNELS), rng.choice(CLASSES)))
    cold, warm, traced = (
        statistics.median(getattr(t, kind) for t in timings) for kind in ("cold_s", "warm_s", "traced_s")
    )
    return {
        "space": name,
        "n": n,
        "mismatches": [t.text for t in timings if not t.agrees],
        "cold_us": cold * 1e6,
        "warm_us": warm * 1e6,
        "fvcore_ms": traced * 1e3,
        "cold_ratio": traced / cold,
        "warm_ratio": traced / warm,
    }


def timed(drawn: Arch, in_channels: int, num_classes: int) -> Timed:
    """Count one network with empty caches, again with full ones, and by fvcore."""
    text = f"{drawn} ({in_channels} channels, {num_classes} classes)"
    clear_caches()
    started = time.perf_counter()
    exact = cost(drawn, in_channels, num_classes)
    counted = time.perf_counter()
    cost(drawn, in_channels, num_classes)
    recounted = time.perf_counter()
    judged = profile(build(drawn, in_channels, num_classes), in_channels, drawn.resolution)
    traced = time.perf_counter()
    return Timed(text, judged.agrees(exact), counted - started, recounted - counted, traced - recounted)


def clear_caches() -> None:
    """Forget every stage, block, stem and head that was read before."""
    for name, module in list(sys.modules.items()):
        if name.startswith("search_spaces."):
            for value in vars(module).values():
                if hasattr(value, "cache_clear"):
                    value.cache_clear()


def line(row: dict[str, Any]) -> str:
    """One row of the table."""
    mismatches: list[str] = row["mismatches"]
    shown = "".join(f"\n  differs: {text}" for text in mismatches[:3])
    return (
        f"{row['space']:<12}{row['n']:>5}{len(mismatches):>8}{row['cold_us']:>10.0f}{row['warm_us']:>10.1f}"
        f"{row['fvcore_ms']:>11.0f}{row['cold_ratio']:>9,.0f}{row['warm_ratio']:>9,.0f}{shown}"
    )


if __name__ == "__main__":
    run(main)
