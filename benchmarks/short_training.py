"""What makes short training rank networks better at equal cost? Variants of it, held against longer training.

Networks of `trained_table.py`'s space within 10 % of one cost, where FLOPs can say nothing, are trained by the
search's default recipe cut to --steps, by it with one thing changed at a time, and by --long steps with averaged
weights and another seed, which is the truth here. Where a change makes a step cheaper it gets more of them. Prints
each variant's core-seconds, Spearman's ρ with the truth of its accuracy on validation images and of the mean training
loss of its last third (Ru et al. 2021, "Speedy performance estimation"), and how much the first is above the
default's, with 95 % bootstrap intervals over the networks, which are the same for all. naswot and FLOPs, which need no
training, stand beside them.

`inherits` begins from the weights that the default left in a mutant of the network, wherever a layer of the same place
has the same shape: what a search does late, when it has trained near relatives. Their training is not counted.

A row is kept as it ends, so a stopped run goes on; parts may run side by side.

    python benchmarks/short_training.py --data cifar10/ --out short_training/

Data: a folder of images, one sub-folder a class. Times are core-seconds of this process.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from judging import FEWEST, images
from trained_table import CLASSES, PIXELS, SPACE

from nas import device as devices
from nas import proxies
from nas.batches import Images
from nas.build import build
from nas.cli import Help, positive, run
from nas.data.images import Split
from nas.errors import UserError
from nas.evaluate import Evaluator
from nas.ranking import interval, spearman
from nas.recipe import QUICK, Recipe
from nas.training import train
from search_spaces import Arch
from search_spaces.cost import cost

CENTRE, WIDTH = 1.5e6, 0.1  # FLOPs of the band, and how far from it
DEFAULT, LONG, INHERITS = "default", "long", "inherits"


@dataclass(frozen=True)
class Variant:
    """Fields of the recipe that differ from the default's; for so many steps as it; on so many images, 0: all."""

    changes: dict[str, Any] = field(default_factory=dict)
    longer: float = 1.0
    images: int = 0


VARIANTS = {
    DEFAULT: Variant(),
    "rate 0.05": Variant({"lr": 0.05}),
    "rate 0.2": Variant({"lr": 0.2}),
    "cosine": Variant({"schedule": "cosine"}),
    "constant rate": Variant({"schedule": "constant", "lr": 0.05}),
    "ema 0.9": Variant({"ema": 0.9}),
    "last quarter averaged": Variant({"polyak": 0.25}),
    "hard labels": Variant({"label_smoothing": 0.0}),
    "no flips": Variant({"augment": []}),
    "shifts": Variant({"augment": ["flip", "shift"]}),
    "cutout": Variant({"augment": ["flip", "cutout"]}),
    "batches of 32": Variant({"batch_size": 32}, longer=2),
    "batches of 128": Variant({"batch_size": 128}, longer=0.5),
    "AdamW": Variant({"optimizer": "adamw", "lr": 0.004, "weight_decay": 0.05}),
    "16 for 20 px": Variant({"resolution": 16}, longer=1.5),
    "14 then 20 px": Variant({"rungs": 2, "reduction": 2, "rung_resolutions": [14]}, longer=1.3),
    "2000 images": Variant(images=2000),
    INHERITS: Variant(),
    "half as long": Variant(longer=0.5),
    "twice as long": Variant(longer=2),
    "4 times as long": Variant(longer=4),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    parser.add_argument("--data", required=True, metavar="DIR", help="a folder of images")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where rows are kept")
    parser.add_argument("--networks", type=positive, default=40, metavar="N")
    parser.add_argument("--steps", type=positive, default=120, metavar="N", help="of the default, 64 images each")
    parser.add_argument("--long", type=positive, default=800, metavar="N", help="steps of the truth")
    parser.add_argument("--validation", type=positive, default=2000, metavar="N", help="images that accuracies are of")
    parser.add_argument("--variants", metavar="NAME,…", help="beside default and long, which all need; all")
    parser.add_argument("--draw-seed", type=int, default=0, help="of the draw of networks")
    parser.add_argument("--seed", type=int, default=0, help="of weights and batches")
    parser.add_argument("--part", default="1/1", metavar="I/N", help="train each Nth network only, from the Ith on")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    wanted = args.variants.split(",") if args.variants else list(VARIANTS)
    if strangers := [name for name in wanted if name not in (*VARIANTS, LONG)]:
        raise UserError(f"--variants are of {', '.join(VARIANTS)}, but got {', '.join(strangers)}")
    bench = Bench(args)
    for name in dict.fromkeys([DEFAULT, LONG, *wanted]):
        bench.train(name)
    found = judged(bench.rows(), [str(arch) for arch in bench.networks])
    print(json.dumps(found, indent=1) if args.json else as_text(found))
    return 0


class Bench:
    """The networks, and what was kept of them in a folder."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.networks = in_band(args.networks, args.draw_seed)
        self.part = slice(int(args.part.split("/")[0]) - 1, None, int(args.part.split("/")[1]))
        self.data = images(args.data, args.validation)
        args.out.mkdir(parents=True, exist_ok=True)
        devices.use_threads(1)

    def rows(self) -> list[dict[str, Any]]:
        """All that was kept, whichever part it is of."""
        files = sorted(self.args.out.glob("rows*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]

    def train(self, name: str) -> None:
        """What is missing of a variant."""
        known = {row["arch"] for row in self.rows() if row["variant"] == name}
        for arch in self.networks[self.part]:
            if str(arch) not in known:
                row = {"variant": name, "arch": str(arch), **self.one(name, arch)}
                with (self.args.out / f"rows-{self.part.start}.jsonl").open("a") as file:
                    file.write(json.dumps(row) + "\n")

    def one(self, name: str, arch: Arch) -> dict[str, float]:
        """Accuracy and the last training loss of one network by one variant."""
        if name == INHERITS:
            return self.inheriting(arch)
        recipe, images = self.recipe(name)
        begin = time.process_time()
        evaluation = Evaluator(recipe, images).evaluate(arch, self.args.seed + (1000 if name == LONG else 0))
        found = {"core_s": time.process_time() - begin, "accuracy": evaluation.accuracy}
        found["loss"] = evaluation.trained.curve[-1].loss
        if name == DEFAULT:  # what needs no training of its own
            found |= {"flops": cost(arch, 3, CLASSES).flops, "naswot": self.naswot(arch)}
        return found

    def inheriting(self, arch: Arch) -> dict[str, float]:
        """As the default, from the weights of a relative that was trained as the default."""
        recipe, images = self.recipe(DEFAULT)
        relative = SPACE.mutate(arch, Random(str(arch)))
        heritage = Evaluator(recipe, images).evaluate(relative, self.args.seed + 1).weights
        begin, pixels = time.process_time(), recipe.pixels(arch.resolution)
        torch.manual_seed(self.args.seed)
        network = build(arch.at(pixels), images.channels, CLASSES)
        own = network.state_dict()
        fitting = {k: v for k, v in heritage.items() if k in own and own[k].shape == v.shape}
        network.load_state_dict(own | fitting)
        devices.place(network, images.device)
        trained = train(network, images, pixels, recipe, self.args.seed)
        shared = sum(v.numel() for v in fitting.values()) / sum(v.numel() for v in own.values())
        return {
            "core_s": time.process_time() - begin,
            "accuracy": trained.accuracy,
            "loss": trained.curve[-1].loss,
            "inherited": shared,
        }

    def naswot(self, arch: Arch) -> float:
        return proxies.score(arch, ["naswot"], self.data, arch.resolution, self.args.seed)["naswot"]

    def recipe(self, name: str) -> tuple[Recipe, Images]:
        """The recipe of a variant, and the images that it trains on."""
        base = QUICK.with_(data=self.args.data, resolution=PIXELS, reference=PIXELS, precision="fp32")
        if name == LONG:
            return base.with_(steps=self.args.long, ema=0.99), self.data
        variant = VARIANTS[name]
        recipe = base.with_(steps=round(self.args.steps * variant.longer), **variant.changes)
        if not variant.images:
            return recipe, self.data
        whole = self.data.data.train  # its order is the source's, by class
        few = torch.randperm(len(whole), generator=torch.Generator().manual_seed(0))[: variant.images]
        data = replace(self.data.data, train=Split(whole.images[few], whole.labels[few]))
        return recipe, Images(data, self.data.channels, self.data.device)


def in_band(n: int, seed: int) -> list[Arch]:
    """Uniform draws within the band, none twice."""
    rng, found = Random(f"short training/{seed}"), dict[str, Arch]()
    while len(found) < n:
        arch = SPACE.sample(rng)
        if abs(cost(arch, 3, CLASSES).flops - CENTRE) <= WIDTH * CENTRE:
            found.setdefault(str(arch), arch)
    return list(found.values())


# ------------------------------------------------------------------------------------------------- judging


def judged(rows: Sequence[dict[str, Any]], networks: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Of each score: core-seconds, correlation with the truth, and how much that is above the default's."""
    by = {name: {r["arch"]: r for r in rows if r["variant"] == name} for name in {r["variant"] for r in rows}}
    scored = {name: {one: row["accuracy"] for one, row in found.items()} for name, found in by.items()}
    default, truth_of = by[DEFAULT], scored.pop(LONG)
    losses = {name: {one: -row["loss"] for one, row in found.items()} for name, found in by.items()}
    scored |= {name: {one: row[name] for one, row in default.items()} for name in ("naswot", "flops")}
    scored["loss of the default"] = losses[DEFAULT]
    found = {}
    for name, scores in scored.items():
        here = [one for one in networks if one in scores and one in truth_of and one in default]
        if len(here) < FEWEST:
            continue
        truth, own, base = ([s[one] for one in here] for s in (truth_of, scores, scored[DEFAULT]))
        low, high = interval(spearman, own, truth)
        gain, gain_low, gain_high = gains(own, base, truth)
        found[name] = {"n": len(here), "spearman": spearman(own, truth), "low": low, "high": high,
                       "gain": gain, "gain_low": gain_low, "gain_high": gain_high}  # fmt: skip
        if name in by:
            found[name] |= {
                "core_s": float(np.mean([by[name][one]["core_s"] for one in here])),
                "of_loss": spearman([losses[name][one] for one in here], truth),
                "mean_accuracy": float(np.mean(own)),
            }
    return found


def gains(own: list[float], base: list[float], truth: list[float], resamples: int = 2000) -> tuple[float, float, float]:
    """Spearman's ρ above the default's, with the 95 % interval over networks drawn again with replacement."""
    values, rng = np.array([own, base, truth]), np.random.default_rng(0)

    def gain(columns: np.ndarray[Any, Any]) -> float:
        one, two, true = columns.tolist()
        return spearman(one, true) - spearman(two, true)

    drawn = [gain(values[:, rng.integers(len(own), size=len(own))]) for _ in range(resamples)]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return gain(values), float(low), float(high)


def as_text(found: dict[str, dict[str, Any]]) -> str:
    """A table for people, in the order of the correlations."""
    lines = [
        f"{'':22s} {'n':>3s} {'core-s':>7s}  Spearman (95 %)          above the default's      of the loss  accuracy"
    ]
    for name, one in sorted(found.items(), key=lambda pair: -pair[1]["spearman"]):
        said = f"{one['spearman']:+.2f} ({one['low']:+.2f} to {one['high']:+.2f})"
        gain = f"{one['gain']:+.2f} ({one['gain_low']:+.2f} to {one['gain_high']:+.2f})" if name != DEFAULT else ""
        more = f"{one['of_loss']:+11.2f} {one['mean_accuracy']:9.3f}" if "of_loss" in one else ""
        lines.append(f"{name:22s} {one['n']:3d} {one.get('core_s', 0):7.1f}  {said:24s} {gain:24s} {more}")
    return "\n".join(lines)


if __name__ == "__main__":
    run(main)
