"""How the front grew: hypervolume by the number of trials, as a part of the largest that the budget allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dashboard import fronts
from dashboard.figures import PALETTE, figure
from dashboard.studies import Columns, Study


@dataclass(frozen=True)
class Growth:
    """Hypervolume (0 to 1: accuracy 1 at no cost) after each trial that raised it, and at the end."""

    name: str
    trials: tuple[int, ...]
    volume: tuple[float, ...]


def data(studies: Sequence[Study], metric: str = "flops") -> tuple[Growth, ...]:
    """One line a study; all are measured against the same dearest cost, so they compare."""
    columns = [s.columns(metric) for s in studies]
    limits = [float(s.limits[metric]) for s in studies if metric in s.limits]
    dearest = max([*limits, *(1.0001 * float(some.costs.max()) for some in columns if len(some.costs))], default=1.0)
    return tuple(_growth(s.name, some, dearest) for s, some in zip(studies, columns, strict=True))


def _growth(name: str, columns: Columns, dearest: float) -> Growth:
    grown = fronts.history(columns.accuracies, columns.costs, dearest)
    trials, volume = [i for i, _ in grown], [round(area / dearest, 5) for _, area in grown]
    if trials and trials[-1] < len(columns.rows):
        trials, volume = [*trials, len(columns.rows)], [*volume, volume[-1]]
    return Growth(name, tuple(trials), tuple(volume))


def plot(growths: Sequence[Growth]) -> Any:
    """A stair a study."""
    drawn = figure(
        *(
            {
                "type": "scatter", "mode": "lines", "name": g.name, "x": list(g.trials), "y": list(g.volume),
                "line": {"shape": "hv", "width": 2, "color": PALETTE[i % len(PALETTE)]},
                "hovertemplate": "after %{x} trials: %{y:.4f}<extra>" + g.name + "</extra>",
            }
            for i, g in enumerate(growths)
        ),
        showlegend=len(growths) > 1,
        margin={"l": 8, "r": 12, "t": 36 if len(growths) > 1 else 12, "b": 8},
    )  # fmt: skip
    drawn.update_xaxes(title_text="Trained networks", rangemode="tozero")
    drawn.update_yaxes(title_text="Hypervolume (part of the budget's)")
    return drawn
