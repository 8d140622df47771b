"""How the front grew: hypervolume by the number of trained networks, accuracy against the logarithm of cost.

The reference stays while a search goes on: the median accuracy of the networks that it began with, and the budget.
With linear cost, or from accuracy 0, one cheap and weak network would stand for most of the area.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dashboard import fronts
from dashboard.figures import PALETTE, figure
from dashboard.metrics import COSTS, percent
from dashboard.studies import Columns, Study
from nas.pareto import Pair
from nas.words import short

FIRST = 8
"""Networks of each study whose median accuracy is the lowest that counts."""


@dataclass(frozen=True)
class Growth:
    """Hypervolume in percent points × doublings of the cost, after each network that raised it, and at the end."""

    name: str
    trials: tuple[int, ...]
    volume: tuple[float, ...]


def reference(studies: Sequence[Study], metric: str) -> Pair | None:
    """The accuracy and the cost from which all are measured, so that they compare; None while nothing is trained."""
    begun = [some for study in studies if len((some := study.columns(metric)).rows)]
    limits = [float(study.limits[metric]) for study in studies if metric in study.limits]
    if not begun:
        return None
    worst = min(float(np.median(some.accuracies[:FIRST])) for some in begun)
    return worst, max([*limits, *(float(some.costs.max()) for some in begun)])


def data(studies: Sequence[Study], metric: str = "flops") -> tuple[Growth, ...]:
    """One line a study."""
    at = reference(studies, metric) or (0.0, 1.0)
    return tuple(_growth(study.name, study.columns(metric), at) for study in studies)


def _growth(name: str, columns: Columns, at: Pair) -> Growth:
    grown = fronts.history(columns.accuracies, np.log2(columns.costs), (at[0], float(np.log2(at[1]))))
    trials, volume = [i for i, _ in grown], [round(100 * area, 3) for _, area in grown]
    if trials and trials[-1] < len(columns.rows):
        trials, volume = [*trials, len(columns.rows)], [*volume, volume[-1]]
    return Growth(name, tuple(trials), tuple(volume))


def about(studies: Sequence[Study], metric: str = "flops") -> str:
    """What the lines measure, and from where; nothing while nothing is trained."""
    at = reference(studies, metric)
    if at is None:
        return ""
    found, (worst, dearest) = COSTS[metric], at
    end = "the budget" if dearest in [study.limits.get(metric) for study in studies] else "the dearest"
    most = f"{dearest:g} {found.unit}" if found.scale == 1 else short(dearest)
    return (
        f"Area that the front encloses over the logarithm of {found.label} up to {most}, {end}, and above "
        f"{percent(worst)}, the median of the first {FIRST}. While it is flat, nothing better is found there."
    )


def said(growths: Sequence[Growth]) -> str:
    """How far each line got, and when it last rose."""
    told = []
    for growth in growths:
        if growth.trials:
            risen = growth.trials[growth.volume.index(growth.volume[-1])]
            told.append(f"{growth.name}: {growth.volume[-1]:.4g}, risen last after {risen} networks")
    return f"Hypervolume of {'; '.join(told)}." if told else ""


def plot(growths: Sequence[Growth]) -> Any:
    """A stair a study."""
    drawn = figure(
        *(
            {
                "type": "scatter", "mode": "lines", "name": g.name, "x": list(g.trials), "y": list(g.volume),
                "line": {"shape": "hv", "width": 2, "color": PALETTE[i % len(PALETTE)]},
                "hovertemplate": "after %{x} networks: %{y:.4g}<extra>" + g.name + "</extra>",
            }
            for i, g in enumerate(growths)
        ),
        showlegend=len(growths) > 1,
        margin={"l": 8, "r": 12, "t": 36 if len(growths) > 1 else 12, "b": 8},
    )  # fmt: skip
    drawn.update_xaxes(title_text="Trained networks", rangemode="tozero")
    drawn.update_yaxes(title_text="Hypervolume (points × doublings)", rangemode="tozero")
    return drawn
