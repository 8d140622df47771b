"""Several studies on one front: nothing is taken for something else, and all can be seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dashboard.figures import front
from dashboard.studies import Study

WHITE = (255.0, 255.0, 255.0)
CARD = {"light": WHITE, "dark": (28.0, 32.0, 38.0)}


def drawn(study: Study, several: bool) -> list[Any]:
    layer = replace(front.layer(study, "flops"), stopped=front.Points((99,), (200.0,), (60.0,)))
    layers = (layer, replace(layer, name="other"), replace(layer, name="third")) if several else (layer,)
    return list(front.plot(front.Front("flops", layers)).data)


def test_failures_have_no_study_s_colour(study: Study) -> None:
    traces = drawn(study, several=True)
    lines, failed = (
        {rgb(traces[i * len(front.KINDS) + front.KINDS.index(kind)].marker.color)[:3] for i in range(3)}
        for kind in ("front", "failed")
    )
    assert len(failed) == 1
    assert not failed & lines


@pytest.mark.parametrize("several", [False, True])
def test_every_kind_of_mark_is_in_the_legend_once(study: Study, several: bool) -> None:
    names = [trace.name for trace in drawn(study, several) if trace.showlegend]
    assert len(names) == len(set(names))
    assert {"dominated", "stopped early", "failed"} <= set(names)


@pytest.mark.parametrize("theme", CARD)
@pytest.mark.parametrize("several", [False, True])
def test_marks_have_three_to_one_against_the_card(study: Study, several: bool, theme: str) -> None:
    """WCAG 2.2, 1.4.11: by their own colour or their ring's."""
    for trace in drawn(study, several):
        colors = [trace.marker.color, trace.marker.line.color or trace.marker.color]
        assert max(contrast(color, CARD[theme]) for color in colors) >= 3, (trace.name, colors)


def rgb(color: str) -> tuple[float, ...]:
    """Red, green, blue and opacity."""
    if color.startswith("#"):
        return (*(int(color[i : i + 2], 16) for i in (1, 3, 5)), 1.0)
    return tuple(float(part) for part in color.removeprefix("rgba(").rstrip(")").split(","))


def contrast(color: str, behind: tuple[float, ...]) -> float:
    *own, alpha = rgb(color)
    seen = tuple(alpha * front + (1 - alpha) * back for front, back in zip(own, behind, strict=True))
    bright, dark = sorted((_luminance(seen), _luminance(behind)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(rgb: tuple[float, ...]) -> float:
    linear = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
