"""Does a supernet rank networks as long training does? On networks whose long training is published.

Builds NAS-Bench-Macro's space as a supernet, trains it on CIFAR-10, judges networks with the weights that they have in
it, and holds the ranking against the table (mean of three full trainings): `spread` are drawn uniformly over the
table, `band` within 5 % of 60 MFLOPs, where FLOPs can say nothing. The networks are those of `ranking.py`, whose
--out is what to hold this against (--short: on the networks that it judged, too); beside it stand a proxy, and the mean
of its ranks and the supernet's. Core-seconds a candidate are those of the supernet shared by 100 candidates, and its
judgement.

The supernet's checkpoint and each judged network are kept beside --out, so a stopped run goes on.

    python benchmarks/supernet.py --table nas-bench-macro_cifar10.json --data cifar10/ --out supernet.jsonl --steps 1500

Data: CIFAR-10 as a folder, one sub-folder a class in `train` and `test`.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from judging import as_lines, correlations, images, known, mean_ranks
from macro_networks import network, read
from nas_bench_macro import CLASSES, STRIDED, WIDTHS
from ranking import COUNT, HINT, modelled, networks, recipe_of

from nas import device as devices
from nas import proxies
from nas.batches import Images
from nas.cli import Help, positive, run
from nas.supernet.evaluators import SupernetEvaluator
from nas.supernet.network import Supernet
from nas.supernet.sampling import Sampling
from nas.supernet.training import Length, Look, State, Training
from search_spaces import Arch, OneOf, Stage
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.inverted_residual import InvertedResidual
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.blocks.skip import Skip
from search_spaces.budget import Budget
from search_spaces.feasible import Feasible
from search_spaces.space import Space

SHARED_BY = 100
MACRO = Space(
    "macro",
    Arch(
        resolution=32,
        stem=ConvStem(width=32, stride=1, act="relu6"),
        stages=tuple(
            Stage(
                OneOf(Skip(), InvertedResidual(expand=3), InvertedResidual(kernel=5, expand=6)),
                width=width,
                stride=2 if i in STRIDED else 1,
            )
            for i, width in enumerate(WIDTHS)
        ),
        head=PoolHead(width=1280, act="relu6"),
    ),
)


def main() -> int:
    args = parser().parse_args()
    table = read(args.table)
    chosen = networks(table, args.networks, args.spread, args.band)
    devices.use_threads(args.threads)
    seen = images(args.data, args.validation)
    supernet, state = trained(args, seen)
    judge(args, SupernetEvaluator(supernet, state, recipe_of({}, args.data, args.seed), seen), chosen)
    results = summary(args, table, chosen, seen)
    print(json.dumps(results, indent=1) if args.json else as_text(results))
    return 0


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    result.add_argument("--table", type=Path, required=True, metavar="FILE.json", help="the published table")
    result.add_argument("--data", required=True, metavar="DIR", help="CIFAR-10 as a folder of images")
    result.add_argument("--out", type=Path, required=True, metavar="FILE.jsonl", help="where results are kept")
    result.add_argument("--steps", type=positive, default=1500, metavar="N", help="of the supernet, 64 images each")
    result.add_argument("--short", type=Path, metavar="FILE.jsonl", help="what ranking.py kept of the same networks")
    result.add_argument("--strategy", default="uniform", help="how a step's networks are drawn")
    result.add_argument("--networks", choices=("develop", "report"), default="report")
    result.add_argument("--spread", type=positive, default=COUNT["spread"], metavar="N")
    result.add_argument("--band", type=positive, default=COUNT["band"], metavar="N")
    result.add_argument("--validation", type=positive, default=1000, metavar="N", help="images that accuracies are of")
    result.add_argument("--seed", type=int, default=0, help="of weights, paths and batches")
    result.add_argument("--threads", type=positive, default=1)
    result.add_argument("--json", action="store_true")
    return result


def trained(args: argparse.Namespace, images: Images) -> tuple[Supernet, State]:
    """The supernet after its steps; core-seconds are noted in --out's neighbour with each checkpoint."""
    torch.manual_seed(args.seed)
    supernet = Supernet(MACRO, 3, CLASSES, 32)
    feasible = Feasible(MACRO, Budget(), 3, CLASSES)
    sampling = Sampling(feasible, args.strategy, args.seed)
    recipe = recipe_of({"evaluations": 10, "glance": 500}, args.data, args.seed)
    checkpoint, clock = args.out.with_suffix(".safetensors"), args.out.with_suffix(".time.json")
    before = json.loads(clock.read_text())["core_s"] if clock.is_file() else 0.0
    begin = time.process_time()

    class Clocked(Training):
        def save(self) -> None:
            super().save()
            clock.write_text(json.dumps({"core_s": before + time.process_time() - begin}))

    def look(seen: Look) -> None:
        accuracies = " ".join(f"{accuracy:.3f}" for _, accuracy in seen.accuracies)
        print(f"{seen.progress:4.0%}  {seen.state.samples} images, loss {seen.loss:.3f}, {accuracies}", flush=True)

    training = Clocked(supernet, images, recipe, sampling, Length(steps=args.steps), checkpoint)
    if training.length.progress(training.state) < 1:
        training.run(look)
    return supernet, training.state


def judge(args: argparse.Namespace, evaluator: SupernetEvaluator, chosen: dict[str, list[str]]) -> None:
    """Judge what --out lacks."""
    for choices in dict.fromkeys(one for members in chosen.values() for one in members):
        if choices not in known(args.out):
            begin = time.process_time()
            accuracy = evaluator.evaluate(network(choices), args.seed).accuracy
            row = {"choices": choices, "accuracy": accuracy, "core_s": time.process_time() - begin}
            with args.out.open("a") as out:
                out.write(json.dumps(row) + "\n")


def summary(
    args: argparse.Namespace, table: dict[str, Any], chosen: dict[str, list[str]], seen: Images
) -> dict[str, Any]:
    """Rank correlations on each set, and core-seconds."""
    done, short = known(args.out), known(args.short) if args.short else {}
    names = [one for one in done if not short or one in short]
    accuracies = [done[one]["accuracy"] for one in names]
    proxy = [proxies.score(network(one), [HINT], seen, 32, args.seed)[HINT] for one in names]
    scores = {
        "supernet": accuracies,
        "model of it": modelled(names, accuracies),
        HINT: proxy,
        f"supernet and {HINT}": mean_ranks(accuracies, proxy),
        "flops": [float(table[one].flops) for one in names],
    }
    if short:
        scores["short training"] = [short[one]["accuracy"] for one in names]
    spent = json.loads(args.out.with_suffix(".time.json").read_text())["core_s"]
    each = sum(done[one]["core_s"] for one in names) / len(names)
    result: dict[str, Any] = {"supernet_core_s": spent, "judging_core_s": each, "core_s": spent / SHARED_BY + each}
    return result | {"sets": correlations(names, scores, table, chosen)}


def as_text(results: dict[str, Any]) -> str:
    lines = [
        f"{results['supernet_core_s']:.0f} core-seconds of training, {results['judging_core_s']:.1f} to judge one: "
        f"{results['core_s']:.0f} a candidate where {SHARED_BY} share it",
        *as_lines(results["sets"]),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    run(main)
