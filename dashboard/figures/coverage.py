"""Where the search has been: how often each option of each choice was taken, and how that drifted over time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from dashboard.figures import figure
from dashboard.figures.importance import words
from dashboard.studies import Row
from search_spaces.space import Space

WINDOWS = 8
TOLD = 6  # choices in words


@dataclass(frozen=True)
class Option:
    """One option of a hole: its share among the trials that met the hole, in all and in each window, in percent."""

    path: str
    label: str
    tried: int
    share: float
    windows: tuple[float | None, ...]


def data(space: Space | None, rows: Sequence[Row], part: str = "") -> tuple[Option, ...]:
    """Options of the holes of one part (`stage2`), or of all; those never tried among them where the space is known."""
    paths: dict[str, list[Any]] = {path: list(hole.labels) for path, hole in space.holes.items()} if space else {}
    for row in rows:
        for path, label in row.params.items():
            labels = paths.setdefault(path, [])
            if label not in labels:
                labels.append(label)
    counts = [_counts(chunk) for chunk in _windows(rows)]
    kept = [path for path in paths if not part or path.split(".")[0] == part]
    return tuple(option for path in kept for option in _options(path, paths[path], counts))


def _windows(rows: Sequence[Row]) -> list[Sequence[Row]]:
    """The trials in order, cut into equal parts of at least four."""
    count = max(1, min(WINDOWS, len(rows) // 4))
    ends = [round(len(rows) * i / count) for i in range(count + 1)]
    return [rows[low:high] for low, high in pairwise(ends)]


Counts = dict[str, Counter[Any]]


def _counts(rows: Sequence[Row]) -> Counts:
    """How often each option was taken, by path."""
    found: Counts = defaultdict(Counter)
    for row in rows:
        for path, label in row.params.items():
            found[path][label] += 1
    return found


def _options(path: str, labels: list[Any], windows: list[Counts]) -> list[Option]:
    met = [window[path].total() if path in window else 0 for window in windows]
    found = []
    for label in labels:
        taken = [window[path][label] if path in window else 0 for window in windows]
        shares = tuple(round(100 * n / of, 1) if of else None for n, of in zip(taken, met, strict=True))
        whole = round(100 * sum(taken) / sum(met), 2) if sum(met) else 0.0
        found.append(Option(path, str(label), sum(taken), whole, shares))
    return found


def said(options: Sequence[Option]) -> str:
    """Which option of each choice was taken most."""
    paths = list(dict.fromkeys(option.path for option in options))[:TOLD]
    most = [max((o for o in options if o.path == path), key=lambda o: o.share) for path in paths]
    return (
        f"Options taken most: {', '.join(f'{words(o.path)} {o.label} ({o.share:.0f} %)' for o in most)}."
        if most
        else ""
    )


def height(options: Sequence[Option]) -> int:
    """Pixels that its rows need."""
    return 110 + 22 * len(options)


def parts(options: Sequence[Option]) -> list[str]:
    """The parts that have holes: resolution, stem, stage1 …, head."""
    return list(dict.fromkeys(option.path.split(".")[0] for option in options))


def plot(options: Sequence[Option]) -> Any:
    """A row an option, from the first trials at the left to the last at the right."""
    shown = list(reversed(options))
    names = [f"{words(o.path).split(' · ', 1)[-1]} = {o.label}" for o in shown]
    windows = len(shown[0].windows) if shown else 1
    drawn = figure(
        {
            "type": "heatmap", "z": [list(o.windows) for o in shown], "y": list(range(len(shown))), "zmin": 0,
            "zmax": 100,
            "x": [round(100 * (i + 0.5) / windows, 1) for i in range(windows)],
            "colorscale": [[0, "rgba(74,130,212,0.04)"], [1, "#4a82d4"]], "xgap": 2, "ygap": 2,
            "customdata": [[[n, o.tried]] * windows for n, o in zip(names, shown, strict=True)],
            "hovertemplate": "%{customdata[0]}<br>%{z:.0f} % of trials; %{customdata[1]} in all<extra></extra>",
            "colorbar": {"title": {"text": "taken (%)", "side": "right", "font": {"size": 12}}, "thickness": 10,
                         "outlinewidth": 0, "len": 0.9},
        },
        margin={"l": 8, "r": 0, "t": 8, "b": 8}, dragmode=False,
    )  # fmt: skip
    drawn.update_yaxes(
        tickvals=list(range(len(shown))),
        ticktext=names,
        showgrid=False,
        range=[-0.5, len(shown) - 0.5],
        fixedrange=True,
        ticks="",
    )
    drawn.update_xaxes(
        title_text="Search, from its first trial to its last (%)", showgrid=False, range=[0, 100], fixedrange=True
    )
    return drawn
