"""What every sampler keeps to, whatever is behind it. A new sampler is covered without an edit."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from random import Random

import optuna
import pytest

from nas import samplers
from nas.budgeted import BudgetedSampler, ask
from nas.errors import UserError
from nas.progress import Limits
from nas.samplers import evolution
from search_spaces.arch import Arch
from search_spaces.budget import Budget
from search_spaces.space import Space
from tests.nas.searching import BUDGET, SPACE, accuracy, feasible, search

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
    counts = search(folder, name).progress.proposals()
    assert counts["proposed"] >= TRIALS
    assert counts["repaired"] <= counts["over_budget"]
    assert counts["proposed"] - counts["redrawn"] <= TRIALS


def test_each_kind_of_proposal_is_counted_once(tmp_path: Path) -> None:
    fits = feasible()
    small, dear = (fits.lattice.extreme("flops", sign)[0] for sign in (1, -1))
    other = next(arch for arch in SPACE.neighbours(small) if arch != fits.repair(dear))
    run, script = search(tmp_path, "random"), iter([small, dear, small, dear, other])
    run.sampler.proposer = lambda *_: lambda: next(script)  # anew, repaired, then: seen, seen once repaired, anew
    run.run(Limits(trials=3))
    assert [c.arch for c in run.stored.candidates()] == [small, fits.repair(dear), other]
    assert run.progress.proposals() == {"proposed": 5, "over_budget": 2, "repaired": 1, "redrawn": 2}


def study(name: str) -> optuna.Study:
    """An empty study in memory, with this sampler."""
    gate = BudgetedSampler(samplers.find(name), feasible(), 0)
    return optuna.create_study(sampler=gate, directions=["maximize", "minimize"])


def tell(trial: optuna.Trial, arch: Arch, accuracy: float) -> None:
    cost = feasible().cost(arch)
    trial.set_user_attr("arch", str(arch))
    trial.set_user_attr("cost", asdict(cost))
    trial.study.tell(trial, [accuracy, cost.flops])


@pytest.mark.parametrize("name", samplers.names())
def test_what_is_proposed_depends_on_the_results(name: str) -> None:
    """Two searches of one seed, each told the opposite of the other's accuracies: only at random they stay alike."""
    one, other = study(name), study(name)
    for _ in range(20):
        trials = one.ask(), other.ask()
        arch, instead = (ask(trial, feasible()) for trial in trials)
        if arch != instead:
            break
        for trial, told in zip(trials, (accuracy(arch), 1 - accuracy(arch)), strict=True):
            tell(trial, arch, told)
    assert (arch == instead) == (name == "random")


def test_evolution_breeds_from_the_best_half(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every other network is the better the dearer it is, and the rest are no good: parents are seen unchanged."""
    archs = sorted({feasible().draw(Random(i))[0] for i in range(16)}, key=lambda arch: feasible().cost(arch).flops)
    known = study("random")
    for i, arch in enumerate(archs[:12]):
        tell(known.ask(), arch, 0.1 if i % 2 else 0.9 + i / 1000)
    monkeypatch.setattr(Space, "mutate", lambda self, arch, rng: arch)
    monkeypatch.setattr(Space, "crossover", lambda self, one, other, rng: other)
    propose = evolution.proposer()(known, None, feasible(), 0)
    assert {propose() for _ in range(200)} == set(archs[:12:2])


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
