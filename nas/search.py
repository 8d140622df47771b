"""Search a space for the networks that are most accurate within a budget."""

from __future__ import annotations

import argparse
import math
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nas import cli, trust
from nas.cli import duration, natural, positive
from nas.garbage import uncollected
from nas.options import SearchOptions

if TYPE_CHECKING:
    from nas.crew import Engine
    from nas.loop import Search
    from nas.progress import Limits
    from nas.recipe import Recipe
    from nas.session import Session
    from nas.store import Stored
    from nas.supernet.phases import Phases

DESCRIPTION = """\
Search a space for the networks that are most accurate within a budget.

Every candidate fits the budget before it is built, is trained shortly by one recipe, and is kept
in a study. The same command goes on where the last one stopped, also after a crash.

examples:
  python -m nas.search --budget 300MFLOPs --space mobile
  python -m nas.search --budget 300MFLOPs --data path/to/images --num-classes 12
  python -m nas.search --budget "150MMACs, 3Mparams" --space mixed --sampler evolution --timeout 2h
  python -m nas.search --budget 350MFLOPs --seeds-from zoo:mobilenet_v2
  python -m nas.search --budget 200MFLOPs --seeds-from study:mobile-300MFLOPs-fashion-subset
  python -m nas.search --budget 300MFLOPs --recipe standard --rungs 3 --trials 60
  python -m nas.search --budget 300MFLOPs --workers 2 --storage postgresql+psycopg://user@host/name
  python -m nas.search --budget 300MFLOPs --evaluator supernet --timeout 2h
  python -m nas.search --budget 400MFLOPs --space my_space.py:space --resolution 128-224
"""
TRIALS, TIMEOUT_S = 16, 9 * 60.0
EVALUATORS = ("short", "inherit", "supernet")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = cli.command("search", DESCRIPTION)
    cli.add_space(result)
    cli.add_deployment(result)
    limits = result.add_argument_group("limits", f"by default {TRIALS} trials or {TIMEOUT_S / 60:.0f} minutes")
    limits.add_argument("--trials", type=positive, metavar="N", help="finished trials that the study shall have")
    limits.add_argument("--timeout", type=duration, metavar="TIME", help="of this run: 90s, 30m, 8h")
    limits.add_argument("--candidate-timeout", type=duration, default=900.0, metavar="TIME", help="of one candidate")
    study = result.add_argument_group("study")
    study.add_argument("--study", metavar="NAME", help="its name (default: made of space, budget and data)")
    study.add_argument("--storage", metavar="URL", help="an Optuna storage (default: an SQLite file in --results)")
    study.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="studies and exports")
    study.add_argument(
        "--sampler", default="known_cost", metavar="NAME", help="evolution, gp, known_cost, nsga2, nsga3, random or tpe"
    )
    study.add_argument(
        "--rungs", type=positive, metavar="N", help="train in N steps, each on --reduction times the images, and go on "
        "only with the best for their cost: --trials then counts candidates, of which few are trained in full"
    )  # fmt: skip
    study.add_argument(
        "--reduction", type=positive, metavar="N", help="1 in N candidates goes on to the next rung (default: 3)"
    )
    study.add_argument(
        "--prefilter", metavar="NAME:Nx", help="a zero-cost proxy scores N proposals of a trial, as in naswot:4x, and "
        "the most promising is trained; known_cost learns what scores are worth, others go by them (see nas/proxies)"
    )  # fmt: skip
    study.add_argument(
        "--evaluator", choices=EVALUATORS, default="short", help="where accuracies come from: short training; a "
        "supernet's weights (thousands of networks, the front is then fine-tuned); short training that starts from them"
    )  # fmt: skip
    study.add_argument(
        "--supernet-share", type=float, default=0.5, metavar="X", help="part of --timeout that the supernet trains for"
    )
    study.add_argument(
        "--seeds-from", metavar="SPEC", help="first trials: zoo:mobilenet_v2,… (see nas.zoo), or study:NAME, an "
        "earlier study of this space and storage, of which known_cost hears all, and learns what it is worth by now"
    )  # fmt: skip
    study.add_argument("--seed", type=int, metavar="N", help="of proposals, weights and batches (default: 0)")
    add_training(result)
    study.add_argument(
        "--trust", type=natural, metavar="N", help="networks trained longer at the end, to see how far short training "
        "can be trusted (default: a quarter of them, 6 to 16; 0 for none; a quarter of --timeout is left for it)"
    )  # fmt: skip
    workers = result.add_argument_group(
        "workers", "processes on one study; to join from another machine, run the same command there with the same "
        "--storage postgresql+psycopg://…"
    )  # fmt: skip
    workers.add_argument("--workers", type=positive, metavar="N", help="(default: one a GPU, or one without a GPU)")
    workers.add_argument("--workers-per-gpu", type=positive, metavar="N", help="small networks share a GPU well")
    workers.add_argument("--engine", choices=("local", "ray"), default="local", help="processes here, or tasks of Ray")
    workers.add_argument("--address", default="auto", metavar="ADDRESS", help="of Ray: auto, local, HOST:PORT, ray://…")
    result.add_argument("--no-export", action="store_true", help="leave the best network where it is")
    result.add_argument("--json", action="store_true", help="print the summary as JSON on stdout")
    return result


def add_training(result: argparse.ArgumentParser, recipe: str = "quick", data: bool = True) -> None:
    """How networks are trained."""
    group = result.add_argument_group("training")
    if data:
        about = "a data set's name (default: fashion-subset; cifar10, …), or a folder with one sub-folder a class"
        group.add_argument("--data", metavar="NAME|DIR", help=about)
    group.add_argument(
        "--recipe", default=recipe, help="quick (208 steps), standard (600 steps), final (10 epochs), "
        "googlenet (its paper's) or a JSON file of a recipe; what else is given here changes it"
    )  # fmt: skip
    group.add_argument("--epochs", type=float, metavar="X", help="passes over the training data, may be a fraction")
    group.add_argument("--steps", type=positive, metavar="N", help="optimizer steps, instead of epochs")
    group.add_argument("--train-resolution", type=positive, metavar="PX", help="pixels of training images")
    group.add_argument("--batch-size", type=positive, metavar="N", help="images of a step; at least 2")
    group.add_argument("--lr", type=float, help="peak learning rate for a batch of 64")
    group.add_argument("--precision", choices=("auto", "fp32", "bf16"), help="auto: what the device trains faster in")
    group.add_argument("--compile", action="store_true", default=None, help="torch.compile: for long training on a GPU")
    group.add_argument("--device", default="auto", help="cuda, cuda:1, mps, cpu")
    group.add_argument("--threads", type=positive, metavar="N", help="of the CPU (default: OMP_NUM_THREADS, or all)")


def main(argv: list[str] | None = None) -> int:
    begin = time.perf_counter()
    args = parser().parse_args(argv)
    session, whole = opened(args)
    limits = whole if args.trust == 0 else replace(whole, timeout=whole.timeout and whole.timeout * (1 - trust.SHARE))
    search = session.search

    from nas.report import Lines, note

    given = sys.argv[1:] if argv is None else argv
    precision = search.evaluator.recipe.precision  # the study's own: workers need not measure what is faster
    engine = _engine(args, [*given, "--precision", precision], session.stored)
    places = engine.places if engine else 1
    phases = _phases(args, limits, search, places)
    note(session.describe(limits))
    if args.seeds_from:
        from nas.seeds import enqueue

        for line in enqueue(session.stored, session.feasible, args.seeds_from):
            note(line)
    with Lines(limits.trials, search.progress.done()) as search.progress.reporter:
        if phases:
            ended = phases.run(search, limits, note)
        elif engine is None:
            ended = search.run(limits)
        else:
            from nas.crew import Crew

            note(f"{engine}")
            ended = Crew(search.progress, engine).run(limits)
    if not session.stored.complete():
        reasons = sorted({c.reason for c in session.stored.candidates() if c.reason}) or ["there was no time"]
        note(f"{ended}; no candidate was trained to the end ({', '.join(reasons)}): the same command goes on")
        return 130 if ended == "interrupted" else 1
    longer = time.perf_counter()
    if args.trust != 0 and ended != "interrupted":
        networks = args.trust or trust.usual(search.progress.done())
        deadline = time.monotonic() + begin + whole.timeout - longer if whole.timeout else math.inf
        slower = trust.slower(search.evaluator, trust.LONGER)
        try:
            trust.measure(session.stored, slower, networks, deadline, note, session.feasible.space)
        except KeyboardInterrupt:  # the search is done, and what was trained longer is kept
            ended = "interrupted"

    from nas.ending import Run, finish

    return finish(args, session.stored, search, Run(ended, begin, time.perf_counter() - longer, places))


def opened(args: argparse.Namespace) -> tuple[Session, Limits]:
    """A search that is ready to run, and when it shall stop."""
    options = SearchOptions.of(args)
    with uncollected():
        _ = options.feasible  # a mistake in space or budget is told before torch is imported
        if args.seeds_from:
            from nas.seeds import check
            from nas.store import default_storage

            check(args.seeds_from, options.storage or default_storage(options.results))

        from nas.session import open_session

        session = open_session(options)
    return session, _limits(args, session.search.evaluator.recipe)


def _engine(args: argparse.Namespace, argv: list[str], stored: Stored) -> Engine | None:
    """What several workers run on; None for one, which is this process."""
    from nas.device import shares
    from nas.errors import UserError

    if args.engine == "ray":
        from nas.cluster import Tasks

        return Tasks(argv, args.address, args.workers, args.workers_per_gpu, args.threads, stored.storage)
    if args.address != "auto":
        raise UserError("--address says where a Ray cluster is: add --engine ray")
    own = shares(args.device, args.workers, args.workers_per_gpu, args.threads)
    if len(own) == 1:
        return None
    from nas.workers import Processes

    return Processes(argv, own, stored.folder)


def _phases(args: argparse.Namespace, limits: Limits, search: Search, workers: int) -> Phases | None:
    """How a search with a supernet divides its time; None for short training."""
    if args.evaluator == "short":
        return None
    from nas.supernet.phases import Phases

    return Phases.of(args.evaluator, args.supernet_share, limits, search, workers)


def _limits(args: argparse.Namespace, recipe: Recipe) -> Limits:
    """Those of the command line, or the defaults: as many candidates as train on the same images in rungs."""
    from nas.errors import UserError
    from nas.progress import Limits
    from nas.rungs import share

    if not args.trials and not args.timeout and args.evaluator == "supernet":
        return Limits(timeout=TIMEOUT_S)
    if not args.trials and not args.timeout:
        return Limits(round(TRIALS / share(recipe.rungs, recipe.reduction)), TIMEOUT_S)
    if args.trials and args.trials < (fewest := recipe.reduction**recipe.last_rung):
        raise UserError(
            f"{recipe.rungs} rungs with a reduction of {recipe.reduction} need --trials of {fewest} at least, for 1 in "
            f"{fewest} is trained in full, but got {args.trials}"
        )
    return Limits(args.trials, args.timeout)


if __name__ == "__main__":
    cli.run(main)
