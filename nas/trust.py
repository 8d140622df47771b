"""How far short training can be trusted: some candidates are trained longer, and the two rankings compared.

The most accurate candidates are among them, since they are what the search is for, and controls spread over the
rest, since a ranking that is only right among the best says nothing of what was passed over. Each training has a
seed of its own, so luck in the short run does not carry over into the long one.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from nas import cli
from nas.words import clock

if TYPE_CHECKING:
    from nas.candidates import Candidate
    from nas.evaluate import Evaluator
    from nas.store import Stored
    from search_spaces.space import Space

DESCRIPTION = """\
Ask how far a study's short training can be trusted.

Trains the best candidates and some controls for longer, and says how well the two rankings agree (Kendall's τ
with a 95 % interval). What it found is kept in the study: nas.search's summary, the dashboard and --best use it.
A search does this by itself at its end (nas.search --trust).

examples:
  python -m nas.trust --study mobile-300MFLOPs-fashion-subset
  python -m nas.trust --study mobile-300MFLOPs-fashion-subset --networks 12 --longer 8
"""
LONGER = 2.0  # times the samples of short training
FEWEST, MOST = 6, 16  # networks, unless told otherwise; a quarter of the candidates in between
SHARE = 0.25  # of a search's time limit that is left for it


@dataclass(frozen=True)
class Pair:
    """A candidate's accuracy by short training, and by longer: after `samples` images, in `seconds`."""

    number: int
    short: float
    long: float
    samples: int
    seconds: float


@dataclass(frozen=True)
class Verdict:
    """How well two rankings of `n` networks agree: Kendall's τ-b, its 95 % interval, the pairs in unlike order.

    tau is NaN where there is nothing to rank. best_stayed: whether the best by short training is so by longer.
    """

    n: int
    tau: float
    low: float
    high: float
    swapped: int
    best_stayed: bool

    def __str__(self) -> str:
        pairs = self.n * (self.n - 1) // 2
        if math.isnan(self.tau):
            return f"{self.n} networks trained longer are too few, or too alike, to rank"
        best = "the best stayed the best" if self.best_stayed else "another became the best"
        return (
            f"short and longer training rank {self.n} networks with Kendall's τ {self.tau:+.2f} "
            f"(95 % {self.low:+.2f} to {self.high:+.2f}); {self.swapped} of {pairs} pairs changed places, {best}"
        )


def verdict(pairs: Sequence[Pair]) -> Verdict:
    """What the pairs say together."""
    from nas.ranking import interval, kendall

    short, long = [p.short for p in pairs], [p.long for p in pairs]
    tau = kendall(short, long) if len(pairs) > 1 else math.nan
    low, high = interval(kendall, short, long, resamples=500) if len(pairs) > 2 else (-1.0, 1.0)
    swapped = sum((a.short - b.short) * (a.long - b.long) < 0 for a, b in combinations(pairs, 2))
    stayed = bool(pairs) and max(pairs, key=lambda p: p.short) == max(pairs, key=lambda p: p.long)
    return Verdict(len(pairs), tau, low, high, swapped, stayed)


def chosen(candidates: Sequence[Candidate], networks: int, worth: Mapping[int, float]) -> list[Candidate]:
    """Those of the most worth, the most accurate one among them, and as many spread evenly over the rest; in turns.

    worth: what a candidate is taken for, by number; `nas.believed` joins what all short accuracies say. Networks that
    were fine-tuned come before those whose accuracy a supernet lent, and stand for what it said of them.
    """
    refined = {c.refines for c in candidates}
    candidates = [c for c in candidates if c.number not in refined]
    lent = {c.number for c in candidates if c.refines is None and refined != {None}}
    most = max((c.accuracy or 0.0 for c in candidates if c.number not in lent), default=0.0)
    ranked = sorted(candidates, key=lambda c: (c.number in lent, c.accuracy != most, -worth[c.number], c.number))
    networks = min(networks, len(ranked))
    best, rest = ranked[: (networks + 1) // 2], ranked[(networks + 1) // 2 :]
    wanted = networks - len(best)
    controls = [rest[(i + 1) * len(rest) // wanted - 1] for i in range(wanted)]
    turns = [one for pair in zip(best, controls, strict=False) for one in pair]
    return turns + best[len(controls) :]


def usual(candidates: int) -> int:
    """How many networks are trained longer in a study of so many: a quarter, within limits."""
    return min(MOST, max(FEWEST, candidates // 4))


def known(stored: Stored, samples: int | None = None) -> list[Pair]:
    """What longer trainings of this study said, of those on so many `samples`, or of the longest."""
    shorts = {c.number: c.accuracy or 0.0 for c in stored.complete()}
    return [Pair(short=shorts[row["number"]], **row) for row in stored.longer(samples) if row["number"] in shorts]


def slower(evaluator: Evaluator, longer: float) -> Evaluator:
    """The same training on `longer` times the samples, in one go."""
    from nas.evaluate import Evaluator

    recipe, images = evaluator.recipe, evaluator.images
    steps = round(recipe.total_steps(len(images.data.train)) * longer)
    whole = recipe.with_(steps=steps, rungs=1, rung_resolutions=())
    return Evaluator(whole, images, evaluator.candidate_timeout * longer)


def measure(
    stored: Stored,
    evaluator: Evaluator,
    networks: int,
    deadline: float = math.inf,
    tell: Callable[[str], None] = lambda line: None,
    space: Space | None = None,
) -> Verdict:
    """Train what the study lacks of `networks` by the slower `evaluator`; return what all of that length say together.

    `deadline` is a `time.monotonic()`: a training that would pass it is not begun. Weights are kept of those that
    are the most accurate so far.
    """
    from nas.believed import of_study

    samples = samples_of(evaluator)
    there = {pair.number for pair in known(stored, samples)}
    picked = chosen(stored.complete(), networks, of_study(stored, space))
    left = [one for one in picked if one.number not in there]
    took = max((_expected(one, samples) for one in left), default=0.0)
    for done, one in enumerate(left):
        if time.monotonic() + took > deadline:
            tell(f"trust: no time for {len(left) - done} longer trainings (python -m nas.trust goes on)")
            break
        begin = time.monotonic()
        said = _longer(stored, one, evaluator, samples)
        took = max(time.monotonic() - begin, took / 2)  # networks differ
        tell(f"trust {done + 1}/{len(left)}  trial {one.number}: {said}; {clock((len(left) - done - 1) * took)} left")
    return verdict(known(stored, samples))


def _longer(stored: Stored, one: Candidate, evaluator: Evaluator, samples: int) -> str:
    """Train one candidate, keep what came of it, and say it."""
    from nas.budgeted import mixed
    from nas.candidates import weights_name
    from nas.files import keep_weights
    from nas.training import Failed

    begin = time.monotonic()
    try:
        evaluation = evaluator.evaluate(one.arch, mixed(evaluator.recipe.seed, -1 - one.number))
    except Failed as failure:
        return str(failure)
    if all(evaluation.accuracy > pair.long for pair in known(stored, samples)):
        keep_weights(evaluation.weights, stored.folder / weights_name(one.number, samples))
    row = {"number": one.number, "long": evaluation.accuracy, "samples": samples}
    stored.note_longer(row | {"seconds": time.monotonic() - begin})
    return f"{evaluation.accuracy:.4f} after {samples} images, {one.accuracy:.4f} before"


def samples_of(evaluator: Evaluator) -> int:
    """Images that a training sees, repeats counted."""
    return evaluator.recipe.samples(len(evaluator.images.data.train))


def _expected(one: Candidate, samples: int) -> float:
    """Seconds of training on so many samples at the pace that the candidate had."""
    seen = one.curve[-1]["samples"] if one.curve else samples
    return (one.seconds or 0.0) * samples / max(1, seen)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = cli.command("trust", DESCRIPTION)
    cli.add_study(result)
    result.add_argument(
        "--networks", type=cli.positive, metavar="N", help=f"(default: a quarter of them, {FEWEST} to {MOST})"
    )
    result.add_argument("--longer", type=float, default=LONGER, metavar="X", help="times the images of short training")
    result.add_argument("--device", default="auto", help="cuda, cuda:1, mps, cpu")
    result.add_argument("--threads", type=cli.positive, metavar="N", help="CPU threads (default: all cores)")
    result.add_argument("--json", action="store_true", help="print what was found as JSON on stdout")
    return result


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    from nas.errors import UserError
    from nas.evaluate import Evaluator
    from nas.recipe import Recipe
    from nas.report import note
    from nas.session import images_of
    from nas.store import open_study

    if not args.longer > 1:
        raise UserError(f"--longer must be more than 1, but got {args.longer:g}: 2 trains twice as long")
    stored = open_study(args.storage, args.study)
    stored.best()  # the error of a study without a finished trial
    stored.settle()
    evaluator = Evaluator(Recipe.from_json(stored.meta["recipe"]), images_of(stored, args.device, args.threads))
    networks = args.networks or usual(len(stored.complete()))
    longer = slower(evaluator, args.longer)
    found = measure(stored, longer, networks, tell=note)
    print(json.dumps(as_json(found, known(stored, samples_of(longer))), indent=2) if args.json else f"trust: {found}")
    return 0


def as_json(found: Verdict, pairs: Sequence[Pair]) -> dict[str, Any]:
    """The verdict and the pairs behind it; undefined numbers as null."""
    values = {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in vars(found).items()}
    return values | {"pairs": [vars(pair) for pair in pairs]}


if __name__ == "__main__":
    cli.run(main)
