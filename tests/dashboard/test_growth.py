"""Growth of the front: the hypervolume of the benchmarks, against a reference that stays."""

from __future__ import annotations

from dataclasses import replace
from math import log2
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dashboard.figures import hypervolume
from dashboard.studies import Columns, Row, Study, _columns
from nas import pareto
from search_spaces import Arch, cost
from tests.dashboard.asking import Client
from tests.dashboard.studying import text
from tests.dashboard.test_callbacks import VERSION, said

ARCH = Arch.parse(text())


def made(*points: tuple[float, int], limit: float | None = None) -> Any:
    """What the figure reads of a study with networks of (accuracy, FLOPs)."""
    own = cost(ARCH)
    rows = [
        Row(i, "complete", ARCH, replace(own, flops=flops), accuracy, "", 1.0, 0.0, 1.0, None, {}, {})
        for i, (accuracy, flops) in enumerate(points)
    ]

    def columns(metric: str) -> Columns:
        return _columns(rows, metric)

    return SimpleNamespace(name="made", columns=columns, limits={"flops": limit} if limit else {})


def test_growth_is_the_engines_hypervolume_over_the_logarithm_of_cost(study: Study) -> None:
    (growth,) = hypervolume.data([study])
    columns = study.columns("flops")
    worst = float(np.median(columns.accuracies[: hypervolume.FIRST]))
    points = [(100 * a, log2(c)) for a, c in zip(columns.accuracies, columns.costs, strict=True)]
    assert growth.volume[-1] == pytest.approx(pareto.hypervolume(points, (100 * worst, log2(3e8))), abs=1e-3)
    assert list(growth.volume) == sorted(growth.volume)
    assert growth.trials[-1] == len(columns.rows)


def test_one_cheap_and_weak_network_does_not_stand_for_the_rest() -> None:
    usual = [(0.60 + 0.005 * i, 100_000_000 + 10_000_000 * i) for i in range(8)]
    strong = [*usual, (0.80, 150_000_000)]
    before = hypervolume.data([made(*strong, limit=3e8)])[0].volume[-1]
    after = hypervolume.data([made(*strong, (0.3, 1_000_000), limit=3e8)])[0].volume[-1]
    assert after == before, "it is less accurate than those that the search began with"


def test_the_reference_stays_while_a_search_goes_on() -> None:
    points = [(0.5 + 0.01 * i, 100_000_000 + 1_000_000 * i) for i in range(40)]
    early, late = (hypervolume.data([made(*points[:n], limit=3e8)])[0] for n in (20, 40))
    assert late.volume[: len(early.volume)] == early.volume


def test_without_a_budget_the_words_tell_the_dearest_network() -> None:
    alone = [made((0.5, 100_000_000), (0.7, 200_000_000))]
    assert "up to 200M, the dearest" in hypervolume.about(alone)
    assert "up to 300M, the budget" in hypervolume.about([made((0.5, 100_000_000), limit=3e8)])
    assert "budget" not in hypervolume.about(alone)
    assert "budget" not in hypervolume.plot(hypervolume.data(alone)).layout.yaxis.title.text
    assert hypervolume.about([]) == ""


def test_the_page_tells_what_is_enclosed(client: Client) -> None:
    answer = client("front-about.children", version=VERSION, front_metric="params")
    assert "over the logarithm of Parameters" in said(answer["front-growth-about"])
