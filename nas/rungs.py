"""Asynchronous successive halving in two objectives: who goes on to the next rung, as pure functions on plain records.

After Li et al. 2020, "A system for massively parallel hyperparameter tuning" (ASHA), with three differences:

- Candidates are ranked by non-domination in accuracy and cost, and only within a band of like cost: short
  training flatters small networks, so that a large one would lose to a small one that it will pass later.
- Of n candidates that reached a rung never more than n / reduction are promoted, also when the order changes
  as others arrive: what a search spends on each rung is known beforehand.
- A candidate always stops at the end of a rung, and goes on when a worker is free: one mechanism, whether that is
  at once or next week.

Only orders count, so that any rescaling of accuracy or cost leaves all as it is. Nothing here knows Optuna.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from nas.pareto import layers

BANDS = 4  # of like cost, equal in number
FEWEST = 6  # candidates in a band: below, there are fewer bands


@dataclass(frozen=True)
class Reached:
    """A candidate at the end of a rung: accuracy there, and cost as deployed."""

    number: int
    accuracy: float
    cost: float


def ranked(reached: Iterable[Reached]) -> list[Reached]:
    """Candidates of one rung, the first to be promoted first: the bands take turns, each with its best."""
    turns = [((i + 0.5) / len(band), one) for band in bands(reached) for i, one in enumerate(in_order(band))]
    return [one for _, one in sorted(turns, key=lambda turn: (turn[0], turn[1].cost, turn[1].number))]


def bands(reached: Iterable[Reached]) -> list[list[Reached]]:
    """The candidates by cost, in up to four parts that hold as many each."""
    rung = sorted(reached, key=lambda r: (r.cost, -r.accuracy, r.number))
    count = max(1, min(BANDS, len(rung) // FEWEST))
    ends = [round(len(rung) * i / count) for i in range(count + 1)]
    return [rung[start:end] for start, end in pairwise(ends)]


def in_order(band: Sequence[Reached]) -> list[Reached]:
    """Candidates of like cost by Pareto layers; within one by strength, how many each beats (Zitzler 2001, SPEA2)."""
    strength = [sum(o.accuracy <= one.accuracy and o.cost >= one.cost for o in band) for one in band]
    ordered = [sorted(layer, key=lambda i: -strength[i]) for layer in layers([(o.accuracy, o.cost) for o in band])]
    return [band[i] for layer in ordered for i in layer]


def places(reached: int, reduction: int) -> int:
    """How many of those that reached a rung may go on."""
    return reached // reduction


def waiting(reached: Collection[Reached], promoted: Collection[int]) -> list[Reached]:
    """Those of a rung that were not promoted, the next in line first."""
    return [one for one in ranked(reached) if one.number not in promoted]


def promotable(reached: Collection[Reached], promoted: Collection[int], reduction: int) -> list[int]:
    """Numbers of those that may go on now, the first in line first. `promoted` may hold candidates of other rungs."""
    there = sum(one.number in promoted for one in reached)
    free = max(0, places(len(reached), reduction) - there)
    return [one.number for one in waiting(reached, promoted)][:free]


def share(rungs: int, reduction: int) -> float:
    """Training that a candidate costs on average, as a part of training every one in full: 0.26 at 3 rungs by 3."""
    ends = [0.0, *(float(reduction) ** (rung - rungs + 1) for rung in range(rungs))]
    return sum((end - start) * float(reduction) ** -rung for rung, (start, end) in enumerate(pairwise(ends)))


def corrected(histories: Iterable[Sequence[float]]) -> list[float]:
    """The accuracy each candidate would have on the highest rung that any reached, from its accuracies by rung.

    A rung's gain is the median gain of those that went on to the next. They were the better ones, and luck was
    a part of that, so gains are rather too small: a candidate that stopped is not flattered.
    """
    known = list(histories)
    rungs = max(map(len, known), default=0)
    gains = [median([h[rung + 1] - h[rung] for h in known if len(h) > rung + 1] or [0.0]) for rung in range(rungs - 1)]
    return [history[-1] + sum(gains[len(history) - 1 :]) for history in known]
