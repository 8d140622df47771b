"""How fast a search goes: finished trials an hour, and how many failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.figures import BLUE, RED, figure
from dashboard.studies import Row

BARS = 24


@dataclass(frozen=True)
class Pace:
    """Bars of `minutes` each, from the first trial's beginning: how many ended well, how many failed."""

    minutes: float
    good: tuple[int, ...]
    failed: tuple[int, ...]


def data(rows: Sequence[Row]) -> Pace:
    """Count the ends of trials; pauses between runs of a search are left out."""
    ended = sorted((r for r in rows if r.ended is not None), key=lambda r: r.ended or 0)
    if not ended:
        return Pace(1.0, (), ())
    clock, at, before = 0.0, [], ended[0].begun or ended[0].ended or 0.0
    for row in ended:
        end = row.ended or 0.0
        clock += max(0.0, min(end - before, 3 * (row.seconds or 60.0) + 60.0))
        before = max(before, end)
        at.append(clock)
    width = max(clock, 1.0) / min(BARS, max(1, len(ended) // 2))
    bars = min(BARS, max(1, len(ended) // 2))
    good, failed = [0] * bars, [0] * bars
    for row, when in zip(ended, at, strict=True):
        place = min(bars - 1, int(when / width))
        (failed if row.state == "failed" else good)[place] += 1
    return Pace(round(width / 60, 3), tuple(good), tuple(failed))


def hourly(rows: Sequence[Row], last: int = 20) -> float | None:
    """Trials an hour, of the last few."""
    times = [r.seconds for r in rows if r.seconds][-last:]
    return 3600 * len(times) / sum(times) if times and sum(times) else None


def plot(pace: Pace) -> Any:
    """Stacked bars over the time that the search ran."""
    hours = pace.minutes * len(pace.good) > 180
    unit = 60 if hours else 1
    x = [(i + 0.5) * pace.minutes / unit for i in range(len(pace.good))]
    per_hour = 60 / pace.minutes
    drawn = figure(
        *(
            {
                "type": "bar", "name": name, "x": x, "y": [round(n * per_hour, 2) for n in counts],
                "customdata": counts,
                "marker": {"color": color}, "hovertemplate": "%{customdata} " + name + "<extra></extra>",
            }
            for name, counts, color in (("trained", list(pace.good), BLUE), ("failed", list(pace.failed), RED))
        ),
        barmode="stack", bargap=0.12, dragmode=False, showlegend=any(pace.failed),
        margin={"l": 8, "r": 12, "t": 36 if any(pace.failed) else 12, "b": 8},
    )  # fmt: skip
    drawn.update_xaxes(
        title_text=f"Time searched ({'hours' if hours else 'minutes'})", showgrid=False, nticks=6, tickangle=0
    )
    drawn.update_yaxes(title_text="Trials an hour", rangemode="tozero")
    return drawn
