"""How fast does the scaling explorer follow, for every network of the zoo?

`grid`: the 1,089 networks of the contours, counted by `search_spaces.scaled_grid`, beside counting each by itself, for
which a part of them (`--sample`, drawn by the seed) is timed and the whole worked out from its mean; both with caches
emptied. Every network of the sample must have the same FLOPs both ways, or none both ways.
`slider`: the answer of the server to a slider that stands where it never stood – costs, shapes and drawing – by the
page's own callback; the slowest of three. All times are of the CPU, on one thread.

    python benchmarks/scaling.py
    python benchmarks/scaling.py --network densenet121 --network efficientnet_b7
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from nas.figures.iso_cost import POINTS
from search_spaces import zoo
from search_spaces.arch import Arch, block_layer
from search_spaces.cost import block_cost, cost, head_cost, stage_cost, stem_cost
from search_spaces.errors import ArchError
from search_spaces.scaled_grid import flops
from search_spaces.scaling import scale

DEPTHS = tuple(0.5 * 6 ** (i / (POINTS - 1)) for i in range(POINTS))
WIDTHS = tuple(0.5 * 4 ** (i / (POINTS - 1)) for i in range(POINTS))
CACHES = (block_layer, stem_cost, stage_cost, block_cost, head_cost)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", action="append", metavar="NAME", help="of the zoo (default: all)")
    parser.add_argument("--sample", type=int, default=40, metavar="N", help="networks counted one by one")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    follow = _page()
    rows = []
    for name in args.network or zoo.names():
        arch = zoo.find(name).arch
        grid_s, counted = timed(lambda a=arch: flops(a, DEPTHS, WIDTHS))
        places = Random(args.seed).sample([(i, j) for i in range(POINTS) for j in range(POINTS)], args.sample)
        one_s, alone = timed(lambda a=arch, p=places: [_alone(a, DEPTHS[j], WIDTHS[i]) for i, j in p])
        wrong = sum(counted[i][j] != found for (i, j), found in zip(places, alone, strict=True))
        times = one_s / args.sample * POINTS**2 / grid_s
        slider_s = max(timed(lambda n=name, p=phi: follow(n, p))[0] for phi in (0.7, 1.3, 1.9))
        rows.append((grid_s, times, slider_s, wrong))
        print(f"{name:26s} grid {1000 * grid_s:6.0f} ms, {times:5.1f} times as fast; slider {1000 * slider_s:4.0f} ms"
              + (f"; {wrong} DIFFER" if wrong else ""), flush=True)  # fmt: skip
    print(f"{len(rows)} networks, seed {args.seed}, {args.sample} of {POINTS**2} one by one: "
          f"grid median {1000 * median(r[0] for r in rows):.0f} ms, slowest {1000 * max(r[0] for r in rows):.0f} ms; "
          f"{median(r[1] for r in rows):.1f} times as fast (median); "
          f"slider slowest {1000 * max(r[2] for r in rows):.0f} ms; {sum(r[3] for r in rows)} differ")  # fmt: skip
    return 0


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds, which other work on the machine changes little, and the result; nothing is remembered of before."""
    for cache in CACHES:
        cache.cache_clear()
    begin = time.process_time()
    result = call()
    return time.process_time() - begin, result


def _alone(arch: Arch, depth: float, width: float) -> int | None:
    try:
        return cost(scale(arch, depth, width)).flops
    except ArchError:
        return None


def _page() -> Callable[[str, float], None]:
    """Ask the scaling page's callback as a browser does, but for the wire."""
    from dashboard.app import create
    from dashboard.serving import freeze
    from dashboard.studies import Studies

    http = create(Studies([]), Path("unused")).server.test_client()
    headers = {"Host": "127.0.0.1:8050"}
    found = next(c for c in http.get("/_dash-dependencies", headers=headers).json if "scaling-costs" in c["output"])
    names = [part.rpartition(".") for part in found["output"].strip(".").split("...")]
    freeze()

    def follow(network: str, phi: float) -> None:
        values = {"scaling-at": [1.2**phi, 1.1**phi, 1.15**phi], "scaling-network": f"zoo/{network}"}
        body = {
            "output": found["output"], "outputs": [{"id": name, "property": prop} for name, _, prop in names],
            "inputs": [{**one, "value": values.get(one["id"])} for one in found["inputs"]], "state": [],
            "changedPropIds": ["scaling-at.data"],
        }  # fmt: skip
        answer = http.post("/_dash-update-component", json=body, headers=headers)
        assert answer.status_code == 200, answer.text

    return follow


if __name__ == "__main__":
    raise SystemExit(main())
