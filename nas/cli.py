"""What the commands share: arguments with one meaning everywhere, and errors as one sentence.

Nothing here imports torch, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nas.errors import UserError
from nas.patience import disk_trouble
from search_spaces.budget import Budget
from search_spaces.errors import LanguageError, SpaceError
from search_spaces.space import Space
from search_spaces.spaces import define, find, names

if TYPE_CHECKING:
    from nas.candidates import Candidate
    from nas.store import Stored

STORAGE = "sqlite:///results/nas.db"


class Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Descriptions as written; defaults shown where there are any to tell."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        telling = action.default not in (None, "", False) and action.nargs != 0 and str(action.default)
        return super()._get_help_string(action) if telling else action.help


def command(name: str, description: str) -> argparse.ArgumentParser:
    """The parser of `python -m nas.name`; its description may end in examples."""
    return argparse.ArgumentParser(prog=f"python -m nas.{name}", description=description, formatter_class=Help)


def run(main: Callable[[], int]) -> None:
    """Run a command and exit: 0, or 2 with one sentence for a user's mistake, or 130 after Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):  # a terminal that lacks ≤ or × shows ? and goes on
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        code = main()
    except (UserError, LanguageError) as error:
        print(f"error: {error}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = 130
    except BrokenPipeError:  # `… | head` closed its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        if not (disk_trouble(error) or isinstance(error, PermissionError)):
            raise
        where = error.filename or "the disk"
        print(f"error: files must be readable and writable, but {where} says: {error.strerror}", file=sys.stderr)
        code = 2
    sys.exit(code)


def add_deployment(parser: argparse.ArgumentParser) -> None:
    """How the network will be deployed, which is how its cost is counted."""
    group = parser.add_argument_group("deployment", "costs are counted as deployed; training may run smaller")
    group.add_argument("--num-classes", type=positive, default=1000, metavar="N", help="classes of the classifier")
    group.add_argument("--in-channels", type=positive, default=3, metavar="N", help="channels of the input image")
    group.add_argument(
        "--resolution",
        metavar="PX",
        help="pixels of the input: one number, or a range such as 128-224 to search those the space offers "
        "(default: the largest that the space offers)",
    )


def add_space(parser: argparse.ArgumentParser, positional: bool = False) -> None:
    """Which space, and how much of it a budget allows."""
    about = f"a named space ({', '.join(names())}) or your own, path/to/file.py:name"
    if positional:
        parser.add_argument("space", help=about)
    else:
        parser.add_argument("--space", default="mobile", help=about)
    parser.add_argument(
        "--budget",
        type=_budget,
        default=Budget() if positional else None,
        required=not positional,
        metavar="LIMITS",
        help="upper limits: 300MFLOPs, 300MMACs, 5Mparams, 16MB (fp32 weights), 512KB@int8 (peak of activations), "
        "8ms@cpu (latency by a table, see nas.latency), or several as '300MFLOPs, 16MB'",
    )


def add_study(parser: argparse.ArgumentParser) -> None:
    """Which study, where."""
    parser.add_argument("--study", metavar="NAME", help="a study's name (default: the only one in the storage)")
    parser.add_argument("--storage", default=STORAGE, metavar="URL", help="the Optuna storage that holds it")
    add_blocks(parser)


def add_blocks(parser: argparse._ActionsContainer) -> None:
    """Where the blocks are defined that this package does not have."""
    parser.add_argument(
        "--blocks", type=_defined, metavar="FILE.py", help="the space file of a study whose "
        "blocks it defines; it is run, so take it only from people you trust"
    )  # fmt: skip


def add_listed(result: argparse.ArgumentParser, name: str) -> None:
    """Which study a list of networks is trained in, and how."""
    study = result.add_argument_group("study of the trainings")
    study.add_argument("--study", metavar="NAME", help=f"its name (default: {name})")
    study.add_argument("--storage", metavar="URL", help="an Optuna storage (default: an SQLite file in --results)")
    study.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="studies and exports")
    study.add_argument("--like", metavar="STUDY", help="data, recipe and seed of this study of a search")
    study.add_argument("--seed", type=int, metavar="N", help="of weights and batches (default: 0)")
    study.add_argument("--candidate-timeout", type=duration, default=3600.0, metavar="TIME", help="of one network: 1h")


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Which of a study's networks."""
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--best", action="store_true", help="the most accurate network (the default)")
    choice.add_argument("--trial", type=int, metavar="N", help="the network of one trial")


def chosen(args: argparse.Namespace, stored: Stored) -> Candidate:
    """The candidate of `--best` or `--trial`."""
    return stored.best() if args.trial is None else stored.trial(args.trial)


def chosen_space(space: str, resolution: str | None) -> Space:
    """The space of `--space`, at the resolution or range of `--resolution`."""
    found = find(space)
    if resolution is None:
        return found.at(found.resolutions[-1])
    numbers = re.fullmatch(r"(\d{1,5})(?:\s*(?:-|–|to)\s*(\d{1,5}))?", resolution.strip())
    if not numbers:
        raise SpaceError(f"a resolution is a number of pixels or a range such as 128-224, but got {resolution!r}")
    return found.at(int(numbers[1]), int(numbers[2]) if numbers[2] else None)


def positive(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or not 1 <= int(text) <= 10**9:
        raise argparse.ArgumentTypeError(f"a whole number of at least 1 is needed, but got {text!r}")
    return int(text)


def _defined(text: str) -> Path:
    """A space file that was run."""
    try:
        define(Path(text))
    except SpaceError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return Path(text)


def natural(text: str) -> int:
    """A whole number of at least 0."""
    return 0 if text.isdecimal() and int(text) == 0 else positive(text)


def duration(text: str) -> float:
    """Seconds of '90', '90s', '30m', '8h' or '1h30m'."""
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m(?:in)?)?(?:(\d+)s?)?", text.strip().lower().replace(" ", ""))
    seconds = sum(int(n or 0) * unit for n, unit in zip(found.groups(), (3600, 60, 1), strict=True)) if found else 0
    if not seconds:
        raise argparse.ArgumentTypeError(f"a time reads like 90s, 30m or 1h30m, but got {text!r}")
    return float(seconds)


def _budget(text: str) -> Budget:
    try:
        return Budget.parse(text)
    except LanguageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
