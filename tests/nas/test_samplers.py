"""What every sampler keeps to, whatever is behind it. A new sampler is covered without an edit."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas import samplers
from nas.errors import UserError
from nas.loop import Limits
from search_spaces.budget import Budget
from tests.nas.searching import BUDGET, SPACE, feasible, search

TRIALS = 14


@pytest.fixture(scope="module", params=samplers.names())
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[str], Path]:
    """A sampler's name and the architectures of an unbroken search."""
    folder = tmp_path_factory.mktemp(request.param)
    run = search(folder, request.param)
    assert run.run(Limits(trials=TRIALS)) == f"{TRIALS} trials are done"
    return request.param, [str(c.arch) for c in run.stored.candidates()], folder


def test_nothing_is_over_budget_and_nothing_is_seen_twice(finished: tuple[str, list[str], Path]) -> None:
    name, archs, folder = finished
    candidates = search(folder, name).stored.candidates()
    assert len(set(archs)) == len(archs) == TRIALS
    assert all(BUDGET.fits(c.cost) for c in candidates)
    assert all(c.arch in SPACE for c in candidates)
    assert all(SPACE.params(c.arch) == c.attrs["retry_of"] for c in candidates if "retry_of" in c.attrs)


def test_the_study_holds_the_parameters_that_were_evaluated(finished: tuple[str, list[str], Path]) -> None:
    name, archs, folder = finished
    trials = search(folder, name).study.trials
    assert [str(SPACE.arch(dict(t.params))) for t in trials] == archs


def test_a_resumed_search_proposes_what_an_unbroken_one_does(
    finished: tuple[str, list[str], Path], tmp_path: Path
) -> None:
    name, archs, _ = finished
    for trials in (TRIALS // 2, TRIALS):
        run = search(tmp_path, name)
        run.run(Limits(trials=trials))
    assert [str(c.arch) for c in run.stored.candidates()] == archs


def test_another_seed_begins_elsewhere(finished: tuple[str, list[str], Path], tmp_path: Path) -> None:
    name, archs, _ = finished
    run = search(tmp_path, name, seed=1)
    run.run(Limits(trials=3))
    assert [str(c.arch) for c in run.stored.candidates()] != archs[:3]


def test_proposals_are_counted(finished: tuple[str, list[str], Path]) -> None:
    name, _, folder = finished
    counts = search(folder, name).proposals()
    assert counts["proposed"] >= TRIALS
    assert counts["repaired"] <= counts["over_budget"]
    assert counts["proposed"] - counts["redrawn"] <= TRIALS


@pytest.mark.parametrize("name", ["random", "evolution"])
def test_a_space_is_searched_to_its_last_network(name: str, tmp_path: Path) -> None:
    budget = Budget.parse("0.25MFLOPs")
    few = {str(arch) for arch in _all(budget)}
    assert 15 <= len(few) <= 30
    run = search(tmp_path, name, budget=budget)
    ended = run.run(Limits(trials=1000))
    assert "no other that fits" in ended
    assert {str(c.arch) for c in run.stored.complete()} == few


def _all(budget: Budget) -> list[object]:
    from search_spaces.holes import fillings
    from search_spaces.lattice import assemble

    fits = feasible(budget)
    paths = _product([list(fillings(node)) for node in SPACE._nodes])
    return [arch for arch in map(assemble, paths) if fits.fits(arch)]


def _product(slots: list[list[object]]) -> list[tuple[object, ...]]:
    from itertools import product

    return list(product(*slots))


def test_an_unknown_sampler_is_a_user_error() -> None:
    with pytest.raises(UserError, match=r"one of evolution.*did you mean tpe"):
        samplers.find("tpee")
