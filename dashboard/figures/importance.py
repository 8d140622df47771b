"""What matters: how much of the accuracy *at equal cost* each choice explains.

Accuracy is first read against the logarithm of FLOPs by a parabola; what is left over is compared between the
options of each choice. ω² (Hays) is the part of its variance that the choice explains, and is near 0 for chance.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dashboard.figures import BLUE, figure
from dashboard.studies import Row

FEWEST = 12
SHOWN = 12
TOLD = 4  # in words


@dataclass(frozen=True)
class Choice:
    """A hole: ω² in percent, and each option with its mean accuracy above the trend, in percent points."""

    path: str
    explained: float
    options: tuple[tuple[str, float, int], ...]


def data(rows: Sequence[Row]) -> tuple[Choice, ...]:
    """The choices that explain most, strongest first; none while there are too few trials."""
    kept = [r for r in rows if r.state == "complete"]
    if len(kept) < FEWEST:
        return ()
    rest = residuals([r.accuracy or 0 for r in kept], [r.cost.flops for r in kept])
    by_path: dict[str, dict[Any, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row, value in zip(kept, rest, strict=True):
        for path, label in row.params.items():
            by_path[path][label].append(value)
    choices = [found for path, groups in by_path.items() if (found := _choice(path, groups))]
    return tuple(sorted(choices, key=lambda c: -c.explained)[:SHOWN])


def residuals(accuracies: Sequence[float], flops: Sequence[int]) -> list[float]:
    """Accuracy above what its cost leads to expect."""
    x, y = np.log(np.asarray(flops, dtype=float)), np.asarray(accuracies)
    distinct = len(set(flops))
    if distinct < 3:
        left: list[float] = (y - y.mean()).tolist()
        return left
    fitted = np.polynomial.Polynomial.fit(x, y, 2 if distinct >= 20 else 1)
    return [float(v) for v in y - fitted(x)]


def _choice(path: str, groups: dict[Any, list[float]]) -> Choice | None:
    sizes = [len(g) for g in groups.values()]
    total = sum(sizes)
    if len(groups) < 2 or total - len(groups) < 4:
        return None
    values = np.concatenate([np.asarray(g) for g in groups.values()])
    mean = values.mean()
    between = sum(n * (np.mean(g) - mean) ** 2 for n, g in zip(sizes, groups.values(), strict=True))
    all_of_it = float(((values - mean) ** 2).sum())
    noise = (all_of_it - between) / (total - len(groups))
    explained = (between - (len(groups) - 1) * noise) / (all_of_it + noise) if all_of_it else 0.0
    options = sorted(
        ((str(o), round(100 * float(np.mean(g) - mean), 3), len(g)) for o, g in groups.items()), key=_by_label
    )
    return Choice(path, round(100 * max(0.0, float(explained)), 2), tuple(options))


def _by_label(option: tuple[str, float, int]) -> tuple[bool, float, str]:
    label = option[0]
    return (False, float(label), "") if label.replace(".", "", 1).isdecimal() else (True, 0.0, label)


def words(path: str) -> str:
    """A hole's path for people: stage2.block.inverted_residual.kernel → stage 2 · kernel."""
    first, *rest = path.split(".")
    number = first.removeprefix("stage")
    place = f"stage {number}" if number.isdecimal() else first
    inner = [part.replace("_", " ") for part in rest if part != "block"] or (["block"] if "block" in rest else [])
    return " · ".join([place, *inner])


def said(choices: Sequence[Choice]) -> str:
    """The strongest choices."""
    told = [f"{words(choice.path)} {choice.explained:.1f} %" for choice in choices[:TOLD]]
    return f"At equal FLOPs explains most of the accuracy: {', '.join(told)}." if told else ""


def plot(choices: Sequence[Choice]) -> Any:
    """Bars, strongest at the top; hovering tells which option is better."""
    shown = list(reversed(choices))
    hover = ["<br>".join(f"{o}: {d:+.2f} points ({n} networks)" for o, d, n in c.options) for c in shown]
    drawn = figure(
        {
            "type": "bar", "orientation": "h", "y": [words(c.path) for c in shown], "x": [c.explained for c in shown],
            "marker": {"color": BLUE}, "customdata": hover,
            "hovertemplate": "<b>%{y}</b> explains %{x:.1f} %<br>%{customdata}<extra></extra>",
        },
        margin={"l": 8, "r": 12, "t": 8, "b": 8}, bargap=0.35, dragmode=False,
    )  # fmt: skip
    drawn.update_xaxes(title_text="Part of the accuracy's variance at equal FLOPs (%)", rangemode="tozero")
    drawn.update_yaxes(showgrid=False, dtick=1)
    return drawn
