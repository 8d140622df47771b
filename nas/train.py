"""Train a chosen network properly, and test it once."""

from __future__ import annotations

import argparse
import json
import statistics
from typing import TYPE_CHECKING, Any

from nas import cli
from nas.cli import positive
from nas.search import add_training

if TYPE_CHECKING:
    from nas.candidates import Candidate
    from nas.evaluate import Evaluation, Evaluator
    from nas.store import Stored
    from search_spaces.arch import Arch

DESCRIPTION = """\
Train a network that a search found, by the final recipe, and test it once.

Validation data chose the network; the test split is read once a seed, here, and the report is kept
with the study. nas.export takes these weights home.

examples:
  python -m nas.train --study mobile-300MFLOPs-fashion-subset --best --epochs 10
  python -m nas.train --study mobile-300MFLOPs-fashion-subset --trial 12 --epochs 30 --seeds 3
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = cli.command("train", DESCRIPTION)
    cli.add_study(result)
    cli.add_choice(result)
    result.add_argument("--seeds", type=positive, default=1, metavar="N", help="runs, for the spread of the accuracy")
    result.add_argument("--seed", type=int, default=0, help="of the first run")
    result.add_argument("--json", action="store_true", help="print the report as JSON on stdout")
    add_training(result, recipe="final", data=False)
    return result


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    from nas.report import note
    from nas.store import open_study

    stored = open_study(args.storage, args.study)
    candidate = cli.chosen(args, stored)
    evaluator = _evaluator(args, stored, candidate.arch)
    note(
        f"training {candidate.arch}\non {stored.meta['data']}, {evaluator.recipe.epochs:g} epochs, {args.seeds} seed(s)"
    )
    report = train_and_test(stored, candidate, evaluator, range(args.seed, args.seed + args.seeds))
    if args.json:
        print(json.dumps(report, indent=2))
        return 0
    spread = f" ± {report['test_std']:.4f} over {args.seeds} seeds" if args.seeds > 1 else ""
    took = f"validation {report['accuracy']:.4f}; {report['seconds']:.0f} s"
    print(f"test accuracy {report['test_accuracy']:.4f}{spread}; {took}")
    note(f"weights {report['weights']}")
    note(f"export  python -m nas.export --study {stored.name} --trial {candidate.number} --out DIR")
    return 0


def _evaluator(args: argparse.Namespace, stored: Stored, arch: Arch) -> Evaluator:
    """The evaluator of the final recipe, on the study's own data."""
    from nas.evaluate import Evaluator
    from nas.recipe import Recipe
    from nas.session import chosen_recipe, images_of

    kept = Recipe.from_json(stored.meta["recipe"])
    args.data = stored.meta["data"]
    args.train_resolution = args.train_resolution or kept.resolution
    recipe = chosen_recipe(args, arch.at(kept.reference))
    return Evaluator(recipe, images_of(stored, args.device, args.threads))


def train_and_test(stored: Stored, candidate: Candidate, evaluator: Evaluator, seeds: range) -> dict[str, Any]:
    """Train once a seed, test each once, keep the weights that validate best, and note the report on the study."""
    from nas.files import write_weights
    from nas.report import note
    from nas.training import Point
    from nas.words import clock

    def watch(point: Point) -> None:
        note(
            f"  {point.samples:>8} images  loss {point.loss:.3f}  accuracy {point.accuracy:.4f}  {clock(point.seconds)}"
        )

    runs: list[Evaluation] = []
    tests: list[float] = []
    for seed in seeds:
        note(f"seed {seed}")
        runs.append(evaluator.evaluate(candidate.arch, seed, watch))
        tests.append(evaluator.test(candidate.arch, runs[-1]))
    best = max(range(len(runs)), key=lambda i: runs[i].accuracy)
    folder = stored.folder / f"trained-{candidate.number:05d}"
    weights = write_weights(runs[best].weights, folder / "weights.safetensors")
    report = {
        "test_accuracy": statistics.fmean(tests),
        "test_std": statistics.stdev(tests) if len(tests) > 1 else 0.0,
        "test_accuracies": tests,
        "accuracy": statistics.fmean(run.accuracy for run in runs),
        "seeds": list(seeds),
        "kept_seed": seeds[best],
        "kept_test_accuracy": tests[best],
        "pixels": runs[best].pixels,
        "seconds": sum(sum(run.timings.values()) for run in runs),
        "recipe": evaluator.recipe.to_json(),
        "weights": str(weights),
    }
    stored.note_training(candidate.arch, report)
    return report


if __name__ == "__main__":
    cli.run(main)
