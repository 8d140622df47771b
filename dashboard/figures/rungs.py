"""How far candidates got: a bar for each rung, of those that went on, stopped there, or train on it now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.figures import BLUE, DOTS, OCHRE, figure
from dashboard.studies import Study


@dataclass(frozen=True)
class Rung:
    """Candidates: `went_on` to the next rung or were trained in full on the last, `stopped` at its end, `training`."""

    images: int | None
    went_on: int
    stopped: int
    training: int


def data(studies: Sequence[Study]) -> tuple[Rung, ...]:
    """The rungs of all studies that have some, from the first; nothing where candidates train in one go."""
    count = max((study.rungs for study in studies), default=1)
    return tuple(_rung([s for s in studies if s.rungs > 1], place) for place in range(count)) if count > 1 else ()


def _rung(studies: Sequence[Study], place: int) -> Rung:
    rows = [row for s in studies for row in (*s.rows, *s.open)]
    through = [r for r in rows if len(r.rungs) > place]
    stopped = sum(r.state == "stopped" and len(r.rungs) == place + 1 for r in through)
    images = max((int(r.rungs[place]["samples"]) for r in through), default=None)
    training = sum(r.state == "running" and len(r.rungs) == place for r in rows)
    return Rung(images, len(through) - stopped, stopped, training)


def said(rungs: Sequence[Rung]) -> str:
    """The bars in words."""
    lines = [
        f"rung {i}: {r.went_on} {'went on' if i < len(rungs) else 'trained in full'}, {r.stopped} stopped, "
        f"{r.training} in training"
        for i, r in enumerate(rungs, 1)
    ]
    return "; ".join(lines)


def plot(rungs: Sequence[Rung]) -> Any:
    """Stacked bars, the first rung at the top."""
    names = [f"Rung {i}" + (f"<br>{r.images:,} images" if r.images else "") for i, r in enumerate(rungs, 1)]
    kinds = (
        ("went on, or trained in full", [r.went_on for r in rungs], BLUE),
        ("stopped", [r.stopped for r in rungs], DOTS),
        ("in training", [r.training for r in rungs], OCHRE),
    )
    drawn = figure(
        *(
            {
                "type": "bar", "orientation": "h", "name": name, "y": names, "x": counts, "marker": {"color": color},
                "text": [n or "" for n in counts], "textposition": "inside", "insidetextanchor": "middle",
                "textangle": 0, "constraintext": "none", "textfont": {"size": 12},
                "hovertemplate": "%{x} " + name + "<extra></extra>",
            }
            for name, counts, color in kinds
        ),
        barmode="stack", bargap=0.35, dragmode=False, legend={"traceorder": "normal"},
    )  # fmt: skip
    drawn.update_xaxes(title_text="Candidates", rangemode="tozero")
    drawn.update_yaxes(autorange="reversed", showgrid=False)
    return drawn
