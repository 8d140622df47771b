"""A table for `samplers.py` that no sampler was developed on: small networks of many choices, trained here.

Draws networks uniformly from a space of 29 choices – blocks, kernels, expansions, widths, depths, strides, the
resolution – trains each shortly, and writes a row a training: the choices (empty where a hole is closed), accuracy on
validation images, and FLOPs of the network that was trained. Few of the space's networks have a row, so a sampler
meets a table that is nearly all holes. Prints how much of the accuracies is the seed's, from the first networks
trained again.

A row is kept as it ends, so a stopped run goes on; parts may run side by side, into files of their own.

    python benchmarks/trained_table.py --data cifar10/ --out trained.csv --networks 1000
    python benchmarks/samplers.py --table trained.csv

Data: a folder of images, one sub-folder a class.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from random import Random
from statistics import mean, stdev

from judging import images

from nas import device as devices
from nas.cli import Help, positive, run
from nas.evaluate import Evaluator
from nas.recipe import QUICK
from search_spaces import Arch, IntRange, OneOf, Stage
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.fire import Fire
from search_spaces.blocks.inverted_residual import InvertedResidual
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.cost import cost
from search_spaces.space import Space

PIXELS, CLASSES = 20, 10
BLOCK = OneOf(InvertedResidual(kernel=OneOf(3, 5), expand=OneOf(1, 3, 6)), Fire(squeeze=OneOf(0.125, 0.25, 0.5)))
SPACE = Space(
    "trained",
    Arch(
        resolution=OneOf(12, 16, PIXELS),
        stem=ConvStem(width=OneOf(8, 16, 24), act=OneOf("relu", "hardswish")),
        stages=(
            Stage(BLOCK, width=OneOf(8, 16, 24), depth=IntRange(1, 3)),
            Stage(BLOCK, width=OneOf(16, 24, 32, 48), depth=IntRange(1, 3), stride=2),
            Stage(BLOCK, width=OneOf(32, 48, 64), depth=IntRange(1, 3), stride=OneOf(1, 2)),
            Stage(BLOCK, width=OneOf(48, 64, 96), depth=IntRange(1, 2)),
        ),
        head=PoolHead(width=OneOf(0, 128)),
    ),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    parser.add_argument("--data", required=True, metavar="DIR", help="a folder of images")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.csv", help="where rows are kept")
    parser.add_argument("--networks", type=positive, default=1000, metavar="N")
    parser.add_argument("--steps", type=positive, default=120, metavar="N", help="of one training, 64 images each")
    parser.add_argument("--validation", type=positive, default=2000, metavar="N", help="images that accuracies are of")
    parser.add_argument("--part", default="1/1", metavar="I/N", help="each Nth network only, from the Ith on")
    parser.add_argument("--seed", type=int, default=0, help="of the draw, of weights and of batches")
    parser.add_argument("--again", type=int, default=0, metavar="N", help="train the first N with another seed, too")
    args = parser.parse_args()
    part, parts = map(int, args.part.split("/"))
    chosen = drawn(args.networks, args.seed)[part - 1 :: parts]
    devices.use_threads(1)
    recipe = QUICK.with_(data=args.data, steps=args.steps, resolution=PIXELS, reference=PIXELS, precision="fp32")
    evaluator = Evaluator(recipe.with_(evaluations=1), images(args.data, args.validation))
    columns = [path for path, hole in SPACE.holes.items() if len(hole.labels) > 1]
    print(f"{SPACE.size():,} networks of {len(columns)} choices, {len(chosen)} to be trained", flush=True)
    kept = [float(row["accuracy"]) for row in csv.DictReader(args.out.open())] if args.out.is_file() else []
    with args.out.open("a", newline="") as file:
        rows = csv.writer(file)
        if not file.tell():
            rows.writerow([*columns, "accuracy", "flops"])
        for arch in chosen[len(kept) :]:
            kept.append(evaluator.evaluate(arch, args.seed).accuracy)
            choices = SPACE.params(arch)
            rows.writerow([*(choices.get(path, "") for path in columns), kept[-1], cost(arch, 3, CLASSES).flops])
            file.flush()
    other = [evaluator.evaluate(arch, args.seed + 1).accuracy for arch in chosen[: args.again]]
    apart = [(one - two) ** 2 / 2 for one, two in zip(kept, other, strict=False)]
    noise = f", of one network's with other seeds {mean(apart) ** 0.5:.4f} (n = {len(apart)})" if apart else ""
    print(f"deviation of all accuracies {stdev(kept):.4f}{noise}")
    return 0


def drawn(n: int, seed: int) -> list[Arch]:
    """The first `n` of a sequence of uniform draws, none twice."""
    rng, found = Random(seed), dict[str, Arch]()
    while len(found) < n:
        arch = SPACE.sample(rng)
        found.setdefault(str(arch), arch)
    return list(found.values())


if __name__ == "__main__":
    run(main)
