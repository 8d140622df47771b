"""What does this project find in a given time, beside the plain Optuna script that one would write instead?

All ways search one space within one budget with one trainer, recipe and data set, for equal wall time, a seed at a
time and side by side, each on its part of the machine's cores. `ours` is the command's default; `supernet` the same
with `--evaluator supernet`, of which those networks count that it fine-tuned. The plain script asks Optuna's
multi-objective TPE for every hole, tells it by `set_constraint` how far a proposal is over the budget (without
training it: that much a practitioner saves), and trains the rest, repeats included. The network that each would choose,
the most accurate on validation images, is then trained alike for longer, and tested once.

    python benchmarks/end_to_end.py --minutes 30 --seeds 3
    python benchmarks/end_to_end.py --minutes 30 --seeds 3 --data cifar10/ --budget 6MFLOPs --resolution 32
    python benchmarks/end_to_end.py --minutes 30 --seeds 3 --ways ours,supernet

Hypervolume is of the short accuracies found, over log FLOPs, from the highest FLOPs that any had, and an accuracy:
the lowest that any had, or 0, where a cheap network counts more. Ratios are the first way's over the others'; test
accuracies are compared seed by seed, with Student's 95 % interval of the mean difference.

    python benchmarks/end_to_end.py --read results/reference/end_to_end-fashion.json
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import optuna
from scipy.stats import t as student

from nas import cli
from nas import data as datasets
from nas import device as devices
from nas.batches import Images
from nas.errors import UserError
from nas.evaluate import Evaluator
from nas.pareto import hypervolume
from nas.recipe import FINAL, QUICK, Recipe
from nas.samplers.from_optuna import distribution
from nas.session import LARGEST_IMAGE
from nas.training import Failed
from search_spaces.arch import Arch
from search_spaces.feasible import Feasible
from search_spaces.holes import Hole, Label

WAYS = ("ours", "plain", "supernet")


def main() -> int:
    args = parser().parse_args()
    if args.read:
        known = json.loads(args.read.read_text())["runs"]
        print(as_text(known, [*dict.fromkeys(run["way"] for run in known)]))
        return 0
    if args.way:
        return one(args)
    ways = args.ways.split(",")
    if len(ways) < 2 or not set(ways) <= set(WAYS):
        raise UserError(f"--ways are two or more of {', '.join(WAYS)}, but got {args.ways}")
    args.threads = args.threads or max(1, (os.cpu_count() or 2) // len(ways))
    runs: list[dict[str, Any]] = []
    args.out.parent.mkdir(parents=True, exist_ok=True)
    for seed in range(args.seeds):
        runs += side_by_side(ways, seed, args.threads)
        args.out.write_text(json.dumps({"asked": asked(args), "runs": runs}, indent=1))
    print(as_text(runs, ways))
    return 0


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(description=__doc__, formatter_class=cli.Help)
    cli.add_space(result)
    cli.add_deployment(result)
    result.set_defaults(budget=cli._budget("300MFLOPs"))
    for action in result._actions:
        action.required = False
    result.add_argument("--data", default="fashion-subset")
    result.add_argument("--minutes", type=float, default=30.0, help="of each search")
    result.add_argument("--seeds", type=int, default=3)
    result.add_argument("--steps", type=int, default=QUICK.steps, help="of short training")
    result.add_argument("--final-epochs", type=float, default=FINAL.epochs, help="of the chosen networks")
    result.add_argument("--threads", type=int, metavar="N", help="of each way (default: its part of the cores)")
    result.add_argument("--ways", default="ours,plain", metavar="NAME,…", help=f"of {', '.join(WAYS)}")
    result.add_argument("--out", type=Path, default=Path("results/end_to_end.json"), metavar="FILE.json")
    result.add_argument("--read", type=Path, metavar="FILE.json", help="print what a run kept, and run nothing")
    result.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    result.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    return result


def asked(args: argparse.Namespace) -> dict[str, Any]:
    """What was compared, and when."""
    names = ("space", "data", "minutes", "seeds", "steps", "final_epochs", "ways")
    said = {name: getattr(args, name) for name in names}
    said["data"] = Path(args.data).name
    return said | {"budget": str(args.budget), "threads": args.threads, "date": time.strftime("%Y-%m-%d")}


def side_by_side(ways: Sequence[str], seed: int, threads: int) -> list[dict[str, Any]]:
    """All ways at the same time, each a process of its own."""
    line = [sys.executable, __file__, *sys.argv[1:], "--seed", str(seed), "--threads", str(threads)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    started = [
        subprocess.Popen([*line, "--way", way], stdout=subprocess.PIPE, text=True, env=environment) for way in ways
    ]
    found = [json.loads(process.communicate()[0].splitlines()[-1]) for process in started]
    for run in found:
        print(f"seed {seed} {run['way']:8s}: {len(run['trials'])} trained, test {run['test']:.4f}", flush=True)
    return found


# ---------------------------------------------------------------------------------------------- one search


def one(args: argparse.Namespace) -> int:
    """One way with one seed; its result as one line of JSON."""
    devices.use_threads(args.threads)
    space = cli.chosen_space(args.space, args.resolution)
    feasible = Feasible(space, args.budget, args.in_channels, args.num_classes)
    reference = space.resolutions[-1]
    recipe = QUICK.with_(
        data=args.data, reference=reference, steps=args.steps, seed=args.seed, precision="fp32", resolution=32
    )
    data = datasets.load(args.data, seed=0, size=LARGEST_IMAGE * recipe.resolution)
    images = Images(data, args.in_channels, devices.pick("cpu"))
    trials, best = plain(args, feasible, Evaluator(recipe, images)) if args.way == "plain" else ours(args)
    final = recipe_of(recipe, args.final_epochs)
    evaluator = Evaluator(final, images)
    test = evaluator.test(best, evaluator.evaluate(best, seed=args.seed))
    row = {"way": args.way, "seed": args.seed, "test": test, "best": str(best), "trials": trials}
    print(json.dumps(row | {"flops": feasible.cost(best).flops}))
    return 0


def recipe_of(recipe: Recipe, epochs: float) -> Recipe:
    """The final training of both."""
    return FINAL.with_(
        data=recipe.data, reference=recipe.reference, resolution=recipe.resolution, precision="fp32", epochs=epochs
    )


def ours(args: argparse.Namespace) -> tuple[list[list[float]], Arch]:
    """The command's own search with its defaults, the trust meter within the time; or with a supernet."""
    from tempfile import TemporaryDirectory

    from nas.search import main as search
    from nas.store import default_storage, open_study

    with TemporaryDirectory() as folder:
        line = ["--space", args.space, "--budget", str(args.budget), "--data", args.data, "--seed", str(args.seed)]
        line += ["--num-classes", str(args.num_classes), "--in-channels", str(args.in_channels), "--no-export"]
        line += ["--results", folder, "--steps", str(args.steps), "--threads", str(args.threads), "--json"]
        line += ["--timeout", f"{round(60 * args.minutes)}s", "--trials", "1000000", "--precision", "fp32"]
        line += ["--resolution", args.resolution] if args.resolution else []
        line += ["--evaluator", "supernet"] if args.way == "supernet" else []
        search(line)
        stored = open_study(default_storage(Path(folder)))
        done = [c for c in stored.complete() if args.way != "supernet" or c.refines is not None]
        return [[c.accuracy or 0.0, float(c.cost.flops)] for c in done], stored.best().arch


def plain(args: argparse.Namespace, feasible: Feasible, evaluator: Evaluator) -> tuple[list[list[float]], Arch]:
    """A practitioner's script: TPE over every hole, the budget as a constraint."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    limits = dict(feasible.budget.limits)
    sampler = optuna.samplers.TPESampler(seed=args.seed)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    deadline = time.monotonic() + 60 * args.minutes
    trained: list[tuple[float, float, Arch]] = []
    while time.monotonic() < deadline:
        trial = study.ask()
        arch = feasible.space.build(lambda path, hole, trial=trial: suggested(trial, path, hole))
        cost = feasible.cost(arch)
        for name, limit in limits.items():
            trial.set_constraint(name, (getattr(cost, name) - limit) / limit)
        accuracy = 0.0
        if feasible.budget.fits(cost):
            try:
                accuracy = evaluator.evaluate(arch, seed=trial.number).accuracy
            except Failed:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
                continue
            if time.monotonic() < deadline or not trained:  # what ends too late was not found in time
                trained.append((accuracy, float(cost.flops), arch))
        study.tell(trial, [accuracy, float(cost.flops)])
    return [[accuracy, flops] for accuracy, flops, _ in trained], max(trained, key=lambda row: row[0])[2]


def suggested(trial: optuna.Trial, path: str, hole: Hole) -> Label:
    """One hole, as Optuna suggests it."""
    label: Label = trial._suggest(path, distribution(hole))
    return label


# ------------------------------------------------------------------------------------------------- judging


def as_text(runs: Sequence[dict[str, Any]], ways: Sequence[str]) -> str:
    """A line a seed, the means, and their ratios."""
    lowest = min(accuracy for run in runs for accuracy, _ in run["trials"])
    volumes, from_0 = hypervolumes(runs, lowest), hypervolumes(runs, 0.0)
    lines = ["way      seed  trained  distinct  hypervolume  test accuracy  MFLOPs"]
    for run in sorted(runs, key=lambda run: (run["way"], run["seed"])):
        distinct = len({tuple(point) for point in run["trials"]})
        lines.append(
            f"{run['way']:8s} {run['seed']:4d}  {len(run['trials']):7d}  {distinct:8d}  "
            f"{volumes[run['way'], run['seed']]:11.4f}  {run['test']:13.4f}  {run['flops'] / 1e6:6.1f}"
        )
    tests = {way: {run["seed"]: run["test"] for run in runs if run["way"] == way} for way in ways}
    first, *others = ways
    for way in others:
        pairs = [tests[first][seed] - tests[way][seed] for seed in tests[first].keys() & tests[way].keys()]
        lines += [
            f"{first} beside {way}: test accuracy "
            f"{mean(tests[first].values()):.4f} and {mean(tests[way].values()):.4f}, {difference(pairs)}",
            f"hypervolumes' ratio {ratio(volumes, first, way):.2f} from accuracy {lowest:.3f}, "
            f"{ratio(from_0, first, way):.2f} from 0",
        ]
    return "\n".join(lines)


def hypervolumes(runs: Sequence[dict[str, Any]], accuracy: float) -> dict[tuple[str, int], float]:
    """Of each way and seed, from a reference accuracy and the highest FLOPs of all."""
    reference = accuracy, math.log(max(flops for run in runs for _, flops in run["trials"]))
    return {
        (run["way"], run["seed"]): hypervolume([(a, math.log(f)) for a, f in run["trials"]], reference) for run in runs
    }


def ratio(volumes: dict[tuple[str, int], float], first: str, second: str) -> float:
    """Of the means over seeds."""
    one, other = (mean(v for (way, _), v in volumes.items() if way == name) for name in (first, second))
    return one / max(other, 1e-9)


def difference(pairs: Sequence[float]) -> str:
    """The mean of paired differences with its interval, in words."""
    told = f"a mean difference of {mean(pairs):+.4f}"
    if len(pairs) < 2:
        return told
    half = float(student.ppf(0.975, len(pairs) - 1)) * stdev(pairs) / math.sqrt(len(pairs))
    return f"{told} (95 % {mean(pairs) - half:+.4f} to {mean(pairs) + half:+.4f}, n = {len(pairs)})"


if __name__ == "__main__":
    cli.run(main)
