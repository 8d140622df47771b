"""Training speed: this project's loop beside a plain PyTorch loop (fp32, NCHW), on each space's median network.

    python benchmarks/training_speed.py --spaces mobile grouped --steps 12 --repeats 3

Both train the same network on the same images at the same batch size, in turns; the ratio is the median
over repeats of ours over plain. The plain loop slices tensors in memory, as ours does, and neither validates.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from functools import partial
from random import Random

import torch
from torch.nn import functional as F

from nas import data as datasets
from nas import device as devices
from nas.batches import Images
from nas.build import build
from nas.recipe import QUICK, Recipe
from nas.session import example
from nas.training import _Run
from search_spaces.arch import Arch
from search_spaces.budget import Budget
from search_spaces.feasible import Feasible
from search_spaces.spaces import find, names

DRAWS = 101
WARM_UP = 3


def median_network(space: str, budget: Budget, seed: int) -> Arch:
    """The network of median FLOPs among uniform draws within the budget."""
    found = find(space)
    feasible = Feasible(found.at(found.resolutions[-1]), budget)
    rng = Random(seed)
    return sorted((feasible.draw(rng) for _ in range(DRAWS)), key=lambda drawn: drawn[1].flops)[DRAWS // 2][0]


def depthwise(arch: Arch) -> bool:
    """Whether any convolution has as many groups as channels."""
    return any(isinstance(m, torch.nn.Conv2d) and m.groups == m.in_channels > 1 for m in build(arch).modules())


def ours(arch: Arch, images: Images, recipe: Recipe) -> float:
    """Images a second of `nas.training`."""
    pixels = recipe.pixels(arch.resolution)
    network = devices.place(build(arch.at(pixels), images.channels, 10), images.device)
    run = _Run(network, network, images, pixels, recipe, seed=0)
    network.train()
    start = 0.0
    for step, chosen in enumerate(run._batches(), 1):
        if step == WARM_UP + 1:
            start = time.perf_counter()
        run._step(step, chosen)
    return (run.total - WARM_UP) * run.batch / (time.perf_counter() - start)


def plain(arch: Arch, images: Images, recipe: Recipe) -> float:
    """Images a second of a loop as tutorials have it."""
    pixels = recipe.pixels(arch.resolution)
    network = build(arch.at(pixels), images.channels, 10).train()
    inputs, labels = images.split("train", pixels)
    inputs = images.normalised(inputs).contiguous()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    start = 0.0
    for step in range(recipe.steps):
        if step == WARM_UP:
            start = time.perf_counter()
        chosen = torch.randint(len(labels), (recipe.batch_size,))
        loss = F.cross_entropy(network(inputs[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (recipe.steps - WARM_UP) * recipe.batch_size / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spaces", nargs="+", default=names())
    parser.add_argument("--budget", default="300MFLOPs")
    parser.add_argument("--steps", type=int, default=13, help=f"of which {WARM_UP} warm up")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto", help="of our side")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    devices.use_threads(None)
    device = devices.pick("cpu")
    images = Images(datasets.load("fashion-subset"), 3, device)
    rows = []
    for space in args.spaces:
        arch = median_network(space, Budget.parse(args.budget), args.seed)
        recipe = QUICK.with_(steps=args.steps, reference=arch.resolution)
        recipe = recipe.with_(
            precision=devices.resolve_precision(args.precision, device, partial(example, arch, recipe))
        )
        pairs = [(ours(arch, images, recipe), plain(arch, images, recipe)) for _ in range(args.repeats)]
        row = {
            "space": space,
            "depthwise": depthwise(arch),
            "precision": recipe.precision,
            "ours_images_s": statistics.median(a for a, _ in pairs),
            "plain_images_s": statistics.median(b for _, b in pairs),
            "ratio": statistics.median(a / b for a, b in pairs),
            "arch": str(arch),
        }
        rows.append(row)
        if not args.json:
            kind = "depthwise" if row["depthwise"] else "no depthwise"
            print(
                f"{space:10} {kind:12} {recipe.precision} ours {row['ours_images_s']:6.0f} img/s  "
                f"plain {row['plain_images_s']:6.0f} img/s  ratio {row['ratio']:.2f}",
                flush=True,
            )
    said = {"device": devices.describe(device), "repeats": args.repeats, "seed": args.seed}
    print(json.dumps(said | {"rows": rows}, indent=2) if args.json else said)


if __name__ == "__main__":
    main()
