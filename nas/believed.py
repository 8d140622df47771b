"""What short accuracies say together: the sampler's model of them, asked for its opinion of each candidate.

A short accuracy is the network, the seed, and the luck of a few hundred batches. Candidates that share choices
say something of one another, and cost, which is exact, says something of all: the mean of a Gaussian process on
accuracy with cost as an input (`nas.known_cost`) joins the three.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from nas.known_cost.belief import squashed
from nas.known_cost.domain import Label, Parameter
from nas.known_cost.encoder import Array, Encoder
from nas.known_cost.process import Process, fit
from search_spaces.errors import LanguageError, SpaceError
from search_spaces.spaces import names

if TYPE_CHECKING:
    from nas.candidates import Candidate
    from nas.store import Stored
    from search_spaces.space import Space

LEAST = 8  # candidates below which there is nothing to join


def believed(
    parameters: Sequence[Parameter],
    rows: Sequence[Mapping[str, Label]],
    costs: Sequence[float],
    accuracies: Sequence[float],
    hints: Sequence[Sequence[float]] = (),
) -> tuple[Array, Array]:
    """Mean and standard deviation of each candidate's accuracy, given all of them; noise left out.

    Args:
        rows: the choices of each candidate, by the names of `parameters`.
        costs: of each candidate, above 0 (FLOPs).
        accuracies: as trained, in [0, 1].
        hints: other numbers that may tell something, such as a zero-cost proxy's scores: one sequence over the
            candidates each. How much they tell is learned; what is not finite counts as the lowest that is.
    """
    seen = np.asarray(accuracies, dtype=float)
    if len(seen) < LEAST or np.ptp(seen) == 0:
        return seen.copy(), np.zeros(len(seen))
    pressed = squashed(seen)
    centre, scale = float(pressed.mean()), float(pressed.std())
    logs = np.log(np.asarray(costs, dtype=float))
    groups = [*Encoder(tuple(parameters))(rows), (logs - logs.max())[:, None], *map(_ranks, hints)]
    targets = (pressed - centre) / scale
    mean, deviation = Process(fit(groups, targets), groups, targets)(groups)
    return _stretched(mean * scale + centre, seen), deviation * scale


def _ranks(hint: Sequence[float]) -> Array:
    """A hint as ranks on [0, 1], a column: scores of proxies have tails that mean nothing."""
    values = np.asarray(hint, dtype=float)
    finite = np.where(np.isfinite(values), values, np.min(values[np.isfinite(values)], initial=0.0))
    places = np.searchsorted(np.unique(finite), finite)
    return np.asarray(places / max(1, places.max()))[:, None]


def _stretched(pressed: Array, seen: Array) -> Array:
    """The inverse of `squashed`."""
    centre = float(np.median(seen))
    unit = max(float(seen.max()) - centre, 1e-12)
    below = np.maximum(centre - pressed, 0)
    return np.asarray(np.where(below > 0, centre - unit * np.expm1(below / unit), pressed))


def _scores(done: Sequence[Candidate]) -> list[list[float]]:
    """What each zero-cost proxy said that scored all candidates (`nas.prefilter`)."""
    known = set(done[0].proxies).intersection(*(c.proxies for c in done)) if done else set()
    noted = [[c.proxies[name] for c in done] for name in sorted(known)]
    return [[-math.inf if score is None else score for score in scores] for scores in noted]


def of_study(stored: Stored, space: Space | None = None) -> dict[int, float]:
    """What the complete candidates' accuracies say of each, by number; of a study without a space, just these.

    Scores of a zero-cost proxy that all of them have are heard, too.

    space: where the caller has it. Else only a named one is looked up: a study may come from a stranger, and does not
    decide which space file is run.
    """
    from nas.cli import chosen_space
    from nas.samplers.known_cost import parameters

    done = stored.complete()
    accuracies = [c.accuracy or 0.0 for c in done]
    try:
        if space is None:
            if stored.meta["space"] not in names():
                raise SpaceError("a space file is run by those who name it")
            space = chosen_space(stored.meta["space"], stored.meta.get("resolution"))
        rows = [space.params(c.arch) for c in done]
    except LanguageError:  # a list of networks, a space file that is not here
        return {c.number: accuracy for c, accuracy in zip(done, accuracies, strict=True)}
    mean, _ = believed(parameters(space), rows, [float(c.cost.flops) for c in done], accuracies, _scores(done))
    return {c.number: float(value) for c, value in zip(done, mean, strict=True)}
