"""Train a chosen network properly, and test it once."""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas import cli
from nas.cli import positive
from nas.search import add_training

if TYPE_CHECKING:
    from nas.candidates import Candidate
    from nas.evaluate import Evaluation, Evaluator
    from nas.recipe import Recipe
    from nas.store import Stored
    from search_spaces.arch import Arch

DESCRIPTION = """\
Train a network that a search found, by the final recipe, and test it once.

Validation data chose the network; the test split is read once a seed, here, and the report is kept
with the study after each: the same command goes on with the seeds that it lacks. nas.export takes these
weights home.

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
    stored.settle()
    candidate = cli.chosen(args, stored)
    evaluator = _evaluator(args, stored, candidate.arch)
    recipe = evaluator.recipe
    length = f"{recipe.steps} steps" if recipe.steps else f"{recipe.epochs:g} epochs"
    note(f"training {candidate.arch}\non {stored.meta['data']}, {length}, {args.seeds} seed(s)")
    report = train_and_test(stored, candidate, evaluator, range(args.seed, args.seed + args.seeds))
    if args.json:
        print(json.dumps(report, indent=2))
        return 0
    seeds = len(report["seeds"])
    spread = f" ± {report['test_std']:.4f} over {seeds} seeds" if seeds > 1 else ""
    took = f"validation {report['accuracy']:.4f}; {report['seconds']:.0f} s"
    print(f"test accuracy {report['test_accuracy']:.4f}{spread}; {took}")
    note(f"weights {report['weights']}")
    note(f"export  python -m nas.export --study {stored.name} --trial {candidate.number} --out DIR")
    return 0


def _evaluator(args: argparse.Namespace, stored: Stored, arch: Arch) -> Evaluator:
    """The evaluator of the final recipe, on the study's own data."""
    from nas.evaluate import Evaluator
    from nas.options import TrainingOptions
    from nas.recipe import Recipe
    from nas.session import chosen_recipe, images_of

    kept = Recipe.from_json(stored.meta["recipe"])
    options = replace(TrainingOptions.of(args), data=stored.meta["data"])
    recipe = chosen_recipe(options, arch.at(kept.reference), resolution=kept.resolution)
    return Evaluator(recipe, images_of(stored, args.device, args.threads))


@dataclass(frozen=True)
class Run:
    """What training with one seed gave: accuracies on validation and on test images, and its seconds."""

    seed: int
    accuracy: float
    test_accuracy: float
    seconds: float


def train_and_test(stored: Stored, candidate: Candidate, evaluator: Evaluator, seeds: range) -> dict[str, Any]:
    """Train once a seed, test each once, keep the weights that validate best; return the report of all seeds.

    The report is kept with the study after each seed, and those that it has by this recipe are not trained again.
    Raise `UserError` when a training does not reach its end.
    """
    from nas.files import discard, keep_weights
    from nas.report import note

    runs, kept = _known(candidate, evaluator.recipe)
    for seed in seeds:
        if seed in {run.seed for run in runs}:
            note(f"seed {seed} was trained before")
            continue
        note(f"seed {seed}")
        evaluation = _trained(candidate.arch, evaluator, seed)
        seconds, test = sum(evaluation.timings.values()), evaluator.test(candidate.arch, evaluation)
        runs.append(Run(seed, evaluation.accuracy, test, seconds))
        outdated = None
        if _best(runs).seed == seed:
            outdated, kept = kept, stored.folder / f"trained-{candidate.number:05d}" / f"seed-{seed}.safetensors"
            keep_weights(evaluation.weights, kept)
        stored.note_training(candidate.arch, _report(runs, kept, evaluator.recipe, evaluation.pixels))
        if outdated and kept and outdated != kept and outdated.parent == kept.parent:  # a stranger's may lie anywhere
            discard(outdated)
    report: dict[str, Any] = stored.training_of(candidate.arch) or {}
    return report


def _known(candidate: Candidate, recipe: Recipe) -> tuple[list[Run], Path | None]:
    """Runs by this recipe that the study has, and where the weights of the best lie."""
    report = candidate.trained or {}
    kept = Path(report.get("weights", ""))
    if not report.get("runs") or not kept.is_file() or _alike(report.get("recipe", {})) != _alike(recipe.to_json()):
        return [], None
    return [Run(**{each.name: row[each.name] for each in fields(Run)}) for row in report["runs"]], kept


def _alike(recipe: dict[str, Any]) -> dict[str, Any]:
    """What two runs must share to stand in one report: seeds are theirs, and `auto` may find another precision."""
    return {name: value for name, value in recipe.items() if name not in ("seed", "precision")}


def _trained(arch: Arch, evaluator: Evaluator, seed: int) -> Evaluation:
    from nas.errors import UserError
    from nas.report import note
    from nas.training import Failed, Point
    from nas.words import clock

    def watch(point: Point) -> None:
        note(
            f"  {point.samples:>8} images  loss {point.loss:.3f}  accuracy {point.accuracy:.4f}  {clock(point.seconds)}"
        )

    try:
        return evaluator.evaluate(arch, seed, watch)
    except Failed as failure:
        raise UserError(
            f"a network must train to the end, but with seed {seed} this one {failure.reason} ({failure.detail}): "
            "try a smaller --lr or --batch-size; seeds that were trained before are kept"
        ) from None


def _best(runs: list[Run]) -> Run:
    """The run whose weights are kept: by validation, so that test images choose nothing."""
    return max(runs, key=lambda run: run.accuracy)


def _report(runs: list[Run], kept: Path | None, recipe: Recipe, pixels: int) -> dict[str, Any]:
    """What is kept of some runs of one network. Accuracies are means, unless they say of which run they are."""
    tests = [run.test_accuracy for run in runs]
    return {
        "test_accuracy": statistics.fmean(tests),
        "test_std": statistics.stdev(tests) if len(tests) > 1 else 0.0,
        "test_accuracies": tests,
        "accuracy": statistics.fmean(run.accuracy for run in runs),
        "seeds": [run.seed for run in runs],
        "kept_seed": _best(runs).seed,
        "kept_test_accuracy": _best(runs).test_accuracy,
        "pixels": pixels,
        "seconds": sum(run.seconds for run in runs),
        "recipe": recipe.to_json(),
        "weights": str(kept),
        "runs": [asdict(run) for run in runs],
    }


if __name__ == "__main__":
    cli.run(main)
