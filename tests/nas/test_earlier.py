"""A search that an earlier study tells of: which networks come first, what is kept, what the sampler makes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from nas.candidates import EARLIER
from nas.earlier import MOST, SEEDS, in_turn, tell
from nas.errors import UserError
from nas.foreign import check_notes
from nas.pareto import front
from nas.progress import Limits
from nas.samplers import known_cost
from nas.search import main
from nas.seeds import enqueue
from nas.store import default_storage, open_study
from search_spaces.budget import Budget
from tests.nas.searching import BUDGET, SPACE, accuracy, feasible, search
from tests.nas.test_search_command import QUICK, fails

TIGHT = Budget.parse("0.6MFLOPs")


def earlier(folder: Path, trials: int = 24) -> None:
    search(folder, "random", budget=BUDGET).run(Limits(trials=trials))


def test_its_best_that_fit_come_first_and_all_are_told(tmp_path: Path) -> None:
    earlier(tmp_path)
    run = search(tmp_path, "known_cost", budget=TIGHT, name="later")
    (line,) = tell(run.stored, feasible(TIGHT), "toy")
    known = open_study(run.stored.storage, "toy").complete()
    assert run.stored.notes[f"{EARLIER}toy"] == [[str(c.arch), c.accuracy] for c in known]
    run.run(Limits(trials=12))
    seeds = [c for c in run.stored.candidates() if c.attrs.get("seeded_from") == "toy"]
    fitting = [c for c in known if TIGHT.fits(c.cost)]
    assert 0 < len(seeds) == min(SEEDS, len(fitting)) < len(known)
    assert f"24 networks known to known_cost; {len(seeds)} of the best queued" in line
    assert [c.number for c in seeds] == list(range(len(seeds)))
    assert all(TIGHT.fits(c.cost) and c.accuracy == accuracy(c.arch) for c in seeds)
    best = {fitting[i].arch for i in front([(accuracy(c.arch), c.cost.flops) for c in fitting])}
    assert best & {c.arch for c in seeds}
    assert tell(run.stored, feasible(TIGHT), "toy") == ["earlier study toy: told already"]


def test_a_few_of_a_front_lie_evenly_over_its_cost() -> None:
    line = [(0.5 + i / 100, float(i)) for i in range(9)]
    below = [(0.1, 3.0), (0.2, 5.0)]
    assert in_turn([*below, *line]) == [10, 2, 6, 8, 4, 9, 7, 5, 3, 1, 0]
    assert in_turn([(0.5, 1.0)]) == [0]
    assert in_turn([]) == []


def test_what_was_trained_already_is_not_queued(tmp_path: Path) -> None:
    earlier(tmp_path, 6)
    run = search(tmp_path, "random", name="later")
    run.run(Limits(trials=3))
    same = {c.arch for c in run.stored.complete()}
    assert same < {c.arch for c in open_study(run.stored.storage, "toy").complete()}  # of the same seed
    assert "6 networks known to known_cost; 3 of the best queued" in tell(run.stored, feasible(), "toy")[0]


def test_of_a_long_study_the_last_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.earlier.MOST", 5)
    earlier(tmp_path)
    run = search(tmp_path, "random", name="later")
    assert "toy: 5 networks known to known_cost; 8 of the best queued" in tell(run.stored, feasible(), "toy")[0]
    last = open_study(run.stored.storage, "toy").complete()[-5:]
    assert run.stored.notes[f"{EARLIER}toy"] == [[str(c.arch), c.accuracy] for c in last]


def test_seeds_are_queued_once_though_the_command_that_queued_them_died(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier(tmp_path)
    run = search(tmp_path, "random", name="later")

    def died(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(run.study, "set_user_attr", died)
        with pytest.raises(KeyboardInterrupt):
            tell(run.stored, feasible(), "toy")
    tell(run.stored, feasible(), "toy")
    assert len(run.study.get_trials(deepcopy=False)) == SEEDS
    assert f"{EARLIER}toy" in run.stored.notes


def test_the_sampler_hears_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its model has an opinion of networks that it never saw, from the earlier study's accuracies alone."""
    earlier(tmp_path, 40)
    fits = feasible()
    run = search(tmp_path, "known_cost", name="later")
    assert known_cost._memories(run.study, fits) == []
    tell(run.stored, fits, "toy")
    (hint,) = known_cost._memories(run.study, fits)
    rng = Random(5)
    fresh = [fits.draw(rng)[0] for _ in range(40)]
    assert np.corrcoef(hint(fresh), [accuracy(arch) for arch in fresh])[0, 1] > 0.8
    heard: list[Any] = []
    monkeypatch.setattr(known_cost, "propose", lambda *_, hints: heard.append(hints) or fresh)
    monkeypatch.setattr(known_cost, "reconsidered", lambda *given: heard.append(given[3]) or fresh)
    sampler = known_cost.KnownCost()
    sampler(run.study, run.study.ask(), fits, 0)()
    sampler.best(run.study, fits, fresh, lambda arch: 0.25, fresh[:2], 0)
    assert [len(hints) for hints in heard] == [1, 2]
    assert heard[0][0] is heard[1][0] is hint
    assert heard[1][1](fresh[:3]).tolist() == [0.25] * 3


def test_a_later_search_goes_on_as_an_unbroken_one(tmp_path: Path) -> None:
    found = []
    for folder, stops in (("whole", [14]), ("broken", [5, 11, 14])):
        earlier(tmp_path / folder)
        for trials in stops:
            run = search(tmp_path / folder, "known_cost", budget=TIGHT, name="later")
            enqueue(run.stored, feasible(TIGHT), "study:toy")
            run.run(Limits(trials=trials))
        found.append([str(c.arch) for c in run.stored.candidates()])
    assert found[0] == found[1]
    assert len(set(found[0])) == 14


def test_a_study_that_shares_no_network_is_a_users_mistake(tmp_path: Path) -> None:
    earlier(tmp_path, 3)
    run = search(tmp_path, "random", name="later")
    wider = replace(SPACE, name="wider", template=replace(SPACE.template, stem=replace(SPACE.template.stem, width=24)))
    with pytest.raises(UserError, match="networks of the space wider, but toy has 3, of which none lies in it"):
        tell(run.stored, feasible(space=wider), "toy")
    with pytest.raises(UserError, match="must be another one, but got later"):
        tell(run.stored, feasible(), "later")
    with pytest.raises(UserError, match=r"must be one of .*later, toy.*but got other"):
        tell(run.stored, feasible(), "other")


@pytest.mark.parametrize("rows", [{}, [["r32"]], [["r32", 2.0]], [[1, 0.5]], [["r32", "high"]], "r32"])
def test_what_a_stranger_says_of_earlier_studies_is_checked(rows: object) -> None:
    check_notes("toy", {"earlier:other": [["r32 | plain", 0.5]] * MOST})
    with pytest.raises(UserError, match="earlier of a study must be architectures and accuracies"):
        check_notes("toy", {"earlier:other": rows})


def test_the_command_learns_from_a_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = [*QUICK, "--no-export", "--results", str(tmp_path)]
    assert main(["--budget", "300MFLOPs", "--trials", "3", "--study", "first", *common]) == 0
    later = ["--budget", "250MFLOPs", "--trials", "1", "--study", "second", "--seeds-from", "study:first", *common]
    assert main(later) == 0
    assert "earlier study first: 3 networks known to known_cost; " in capsys.readouterr().err
    stored = open_study(default_storage(tmp_path), "second")
    assert len(stored.notes["earlier:first"]) == 3
    unknown = [*later, "--study", "third", "--seeds-from"]
    assert "(first, second), but got fisrt" in fails(lambda: main([*unknown, "study:fisrt"]), capsys)
    assert "lists (mobilenet_v2, " in fails(lambda: main([*unknown, "zoo:mobilnet_v2"]), capsys)
    assert "study:NAME, but got 'study:'" in fails(lambda: main([*later, "--seeds-from", "study:"]), capsys)
