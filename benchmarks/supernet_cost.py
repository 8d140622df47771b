"""What does weight sharing cost? A supernet's parameters, and a pass through it beside the same networks built alone.

Parameters are over those of the space's largest network. A pass is forward and backward on one batch of random
images: through the selected networks, selection included, and through ordinary modules of the same networks, in
turns; both in CPU time, so that other work on the machine counts little.

    python benchmarks/supernet_cost.py --spaces mobile mixed --draws 8 --repeats 3
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterable
from itertools import islice
from random import Random
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from nas import device as devices
from nas.build import build
from nas.cli import Help, positive, run
from nas.supernet.network import Supernet
from search_spaces.arch import Arch
from search_spaces.errors import ArchError
from search_spaces.spaces import find, names

CLASSES = 10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    parser.add_argument("--spaces", nargs="+", default=names())
    parser.add_argument("--pixels", type=positive, default=32, metavar="PX", help="of the images")
    parser.add_argument("--batch", type=positive, default=64, metavar="N")
    parser.add_argument("--draws", type=positive, default=8, metavar="N", help="uniform networks of a space")
    parser.add_argument("--repeats", type=positive, default=3, metavar="N")
    parser.add_argument("--seed", type=int, default=0, help="of the draws and the images")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    devices.use_threads(1)
    rows = []
    for name in args.spaces:
        rows.append(row := measured(name, args))
        if not args.json:
            print(
                f"{name:10} parameters {row['parameters']:.2f} × the largest network's; a pass takes "
                f"{row['shared_s']:.3f} core-s, alone {row['alone_s']:.3f}, ratio {row['ratio']:.2f}",
                flush=True,
            )
    said = {"device": devices.describe(torch.device("cpu")), "n": args.draws, "seed": args.seed}
    print(json.dumps(said | {"rows": rows}, indent=1) if args.json else said)
    return 0


def measured(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """One space."""
    found = find(name)
    space, rng = found.at(found.resolutions[-1]), Random(args.seed)
    supernet = Supernet(space, 3, CLASSES, args.pixels).train()
    largest, cost = space.lattice(3, CLASSES).extreme("params", -1)
    drawn = (space.sample(rng) for _ in range(100))
    fitting = ((arch, network) for arch in drawn if (network := alone_of(arch, args.pixels)) is not None)
    archs, alone = zip(*islice(fitting, args.draws), strict=True)
    images = torch.randn(args.batch, 3, args.pixels, args.pixels, generator=torch.Generator().manual_seed(args.seed))
    images = images.contiguous(memory_format=devices.MEMORY_FORMAT)
    labels = torch.arange(args.batch) % CLASSES
    pairs = []
    for _ in range(args.repeats + 1):
        ours = passes((supernet.select(arch, args.pixels) for arch in archs), images, labels)
        supernet.zero_grad()
        pairs.append((ours, passes(alone, images, labels)))
    del pairs[0]  # what both prepare at first
    return {
        "space": name,
        "parameters": sum(p.numel() for p in supernet.parameters()) / cost.params,
        "largest": str(largest),
        "shared_s": statistics.median(a for a, _ in pairs),
        "alone_s": statistics.median(b for _, b in pairs),
        "ratio": statistics.median(a / b for a, b in pairs),
    }


def alone_of(arch: Arch, pixels: int) -> nn.Module | None:
    """The network as it is trained by itself; None where images of so many px do not reach the head."""
    try:
        return devices.place(build(arch.at(pixels), 3, CLASSES).train(), torch.device("cpu"))
    except ArchError:
        return None


def passes(networks: Iterable[nn.Module], images: torch.Tensor, labels: torch.Tensor) -> float:
    """CPU seconds of a forward and a backward pass, mean over the networks."""
    count, begin = 0, time.process_time()
    for network in networks:
        F.cross_entropy(network(images), labels).backward()
        count += 1
    return (time.process_time() - begin) / count


if __name__ == "__main__":
    run(main)
