"""The figure of a front: the numbers it draws are the study's."""

from __future__ import annotations

from pathlib import Path

from nas.figures.pareto_front import data, plot
from nas.progress import Limits
from tests.nas.searching import BUDGET, search


def test_the_figure_draws_the_study(tmp_path: Path) -> None:
    run = search(tmp_path, "random")
    run.stored.meta |= {"budget": str(BUDGET), "data": "toy data"}
    run.run(Limits(trials=10))
    front = data(run.stored)
    assert {p.trial for p in front.points} == set(range(10))
    assert [p.flops for p in front.points] == sorted(p.flops for p in front.points)
    assert {p.trial for p in front.points if p.on_front} == {c.number for c in run.stored.front()}
    assert front.limit == 1_200_000

    figure = plot(front)
    dominated, best = figure.data
    assert len(dominated.x) + len(best.x) == 10
    assert list(best.y) == sorted(best.y)
    assert best.line.shape == "hv"
    assert figure.layout.xaxis.type == "log"
    assert any(shape.x0 == 1.2 for shape in figure.layout.shapes)
