"""How fast a search goes: finished trials an hour, and how many failed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.figures import BLUE, RED, figure
from dashboard.metrics import significant
from dashboard.studies import Row

BARS = 24
IDLE_S = 60.0  # without any trial that count as searching; what is longer is a pause


@dataclass(frozen=True)
class Pace:
    """Bars of `minutes` each, from the first trial's beginning: how many ended well, how many failed."""

    minutes: float
    good: tuple[int, ...]
    failed: tuple[int, ...]


def data(rows: Sequence[Row]) -> Pace:
    """Count the ends of trials; pauses between runs of a search are left out."""
    ended = _ended(rows)
    if not ended:
        return Pace(1.0, (), ())
    bars = min(BARS, max(1, len(ended) // 2))
    width = max(ended[-1][0], 1.0) / bars
    good, failed = [0] * bars, [0] * bars
    for when, row in ended:
        place = min(bars - 1, int(when / width))
        (failed if row.state == "failed" else good)[place] += 1
    return Pace(round(width / 60, 3), tuple(good), tuple(failed))


def _ended(rows: Sequence[Row]) -> list[tuple[float, Row]]:
    """The trials in the order of their ends, with how many seconds had been searched by then, pauses left out."""
    spans = sorted((r.ended if r.begun is None else r.begun, r.ended) for r in rows if r.ended is not None)
    begins: list[float] = []
    cuts: list[float] = []
    cut = until = 0.0
    for begun, end in spans:
        cut += max(0.0, begun - until - IDLE_S) if begins else begun
        begins.append(begun)
        cuts.append(cut)
        until = max(until, end)
    times = [(r.ended - cuts[bisect_right(begins, r.ended) - 1], r) for r in rows if r.ended is not None]
    return sorted(times, key=lambda one: one[0])


def hourly(rows: Sequence[Row], last: int = 20) -> float | None:
    """Trials an hour, of the last few: as many as ended over the time that passed, however many workers there were."""
    times = [when for when, _ in _ended(rows)]
    if not times:
        return None
    since = times[-last - 1] if len(times) > last else 0.0
    passed = times[-1] - since
    return 3600 * sum(when > since for when in times) / passed if passed else None


def said(pace: Pace) -> str:
    """How many ended an hour, and how many failed: what need not be said anew with every trial."""
    failed, minutes = sum(pace.failed), pace.minutes * len(pace.good)
    mean = 60 * (sum(pace.good) + failed) / minutes if minutes else 0.0
    return f"On average {significant(mean, 2):g} trials an hour; {failed} failed in all." if mean else ""


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
