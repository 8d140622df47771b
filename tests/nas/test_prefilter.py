"""Several proposals a trial: which goes on, and that the gate and the sequence of draws stay what they are."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import pytest

from nas import believed, proxies, samplers
from nas.budgeted import BudgetedSampler
from nas.errors import UserError
from nas.loop import Search
from nas.prefilter import Prefilter, Rule, Usual
from nas.progress import Limits
from nas.recipe import Recipe
from nas.search import main
from nas.store import META, open_study
from search_spaces import Arch
from search_spaces.budget import Budget
from tests.nas.searching import BUDGET, SPACE, accuracy, feasible, search
from tests.nas.test_search_command import QUICK, fails
from tests.nas.test_search_command import SPACE as FILE

TRIALS = 8


def quality(arch: Arch) -> float:
    """What the stubbed proxy knows of an architecture beside its cost: a number in [0, 1]."""
    return sha256(str(arch).encode()).digest()[0] / 255


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that is mostly cost, as proxies are, and a little quality."""

    def score(arch: Arch, wanted: Sequence[str], images: Any, pixels: int, seed: int) -> dict[str, float]:
        return {name: 50 * math.log(feasible().cost(arch).flops) + quality(arch) for name in wanted}

    monkeypatch.setattr(proxies, "score", score)


def prefilter(text: str = "naswot:4x", seed: int = 0) -> Prefilter:
    images: Any = None
    return Prefilter(Rule.parse(text), feasible(), images, Recipe(), seed)


def prefiltered(folder: Path, sampler: str, seed: int = 0, budget: Budget = BUDGET) -> Search:
    run = search(folder, sampler, seed, budget=budget)
    run.sampler.prefilter = prefilter(seed=seed)
    return run


# ------------------------------------------------------------------------------------------ the rule


def test_a_rule_is_its_text() -> None:
    assert Rule.parse("naswot:4x") == Rule("naswot", 4)
    assert all(str(Rule.parse(f"{name}:16x")) == f"{name}:16x" for name in proxies.names())


@pytest.mark.parametrize("text", ["naswot", "naswot:4", "naswot:1x", "naswot:65x", ":4x", "naswot:x", "naswot:4x,2x"])
def test_a_rule_of_another_form_is_a_user_error(text: str) -> None:
    with pytest.raises(UserError, match=r"NAME:Nx, N from 2 to 64, but got .*: try naswot:4x"):
        Rule.parse(text)


def test_a_rule_names_a_proxy() -> None:
    with pytest.raises(UserError, match=r"a proxy is one of .*did you mean zico"):
        Rule.parse("zicco:4x")


# ---------------------------------------------------------------------------------------- the choice


@pytest.mark.usefixtures("stub")
def test_the_best_for_its_cost_wins_and_not_the_dearest() -> None:
    chooser, rng = prefilter(), Random(7)
    chosen, dearest = [], 0
    for _ in range(60):
        four = [feasible().draw(rng)[0] for _ in range(4)]
        best = chooser.best(four)
        assert quality(best) > max(map(quality, four)) - 0.2  # the line's own error
        dearest += best == max(four, key=lambda arch: feasible().cost(arch).flops)
        chosen.append(quality(best))
    assert sum(chosen) / 60 > 0.7  # the mean of the best of four is 0.8, of any 0.5
    assert 6 <= dearest <= 26  # a quarter of 60 is 15


@pytest.mark.usefixtures("stub")
def test_what_has_no_score_goes_on_only_when_nothing_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (feasible().draw(Random(i))[0] for i in range(2))
    chooser = prefilter()
    chooser.scores[first] = proxies.UNDEFINED
    assert chooser.best([first, second]) == second
    assert chooser.noted(first) == {"naswot": None}
    monkeypatch.setattr(proxies, "score", lambda arch, wanted, *_: dict.fromkeys(wanted, proxies.UNDEFINED))
    assert prefilter().best([first, second]) == first


def test_the_usual_score_is_a_line_over_log_flops() -> None:
    flops = [math.e**x for x in (1.0, 2.0, 3.0, 4.0)]
    usual = Usual.of([*flops, 5.0], [3.0, 3.0, 7.0, 7.0, proxies.UNDEFINED])
    assert (usual.slope, usual.height) == pytest.approx((1.6, 1.0))
    assert usual.deviation == pytest.approx(math.sqrt(0.8))
    assert usual.above(flops[1], 5.0) == pytest.approx(0.8 / math.sqrt(0.8))
    assert Usual.of([2.0, 2.0], [1.0, 3.0]).above(9.0, 2.5) == 0.5
    assert Usual.of([2.0, 3.0], [proxies.UNDEFINED] * 2) == Usual()


@pytest.mark.usefixtures("stub")
def test_a_model_hears_of_nothing_further_than_four_deviations() -> None:
    chooser, (first, second) = prefilter(), (feasible().draw(Random(i))[0] for i in range(2))
    chooser.scores |= {first: proxies.UNDEFINED, second: 1e9}
    assert [chooser.hint(first), chooser.hint(second)] == [-4, 4]


# ---------------------------------------------------------------------------------------- the search


@pytest.mark.usefixtures("stub")
@pytest.mark.parametrize("sampler", ["evolution", "known_cost", "tpe"])
def test_a_prefiltered_search_keeps_the_budget_repeats_nothing_and_resumes_as_if_unbroken(
    sampler: str, tmp_path: Path
) -> None:
    trials = TRIALS + 10 * (sampler == "known_cost")  # whose model has a say after ten
    run = prefiltered(tmp_path / "whole", sampler)
    run.run(Limits(trials=trials))
    candidates = run.stored.candidates()
    archs = [str(c.arch) for c in candidates]
    assert len(set(archs)) == len(archs) == trials
    assert all(BUDGET.fits(c.cost) and c.arch in SPACE for c in candidates)
    assert run.progress.proposals()["proposed"] >= 4 * trials
    chooser = run.sampler.prefilter
    assert chooser is not None
    assert all(c.attrs["proxies"] == {"naswot": chooser.scores[c.arch]} for c in candidates)
    for until in (trials - 4, trials):
        resumed = prefiltered(tmp_path / "resumed", sampler)
        resumed.run(Limits(trials=until))
    assert [str(c.arch) for c in resumed.stored.candidates()] == archs


@pytest.mark.usefixtures("stub")
def test_what_a_study_noted_is_not_scored_again(tmp_path: Path) -> None:
    prefiltered(tmp_path, "known_cost").run(Limits(trials=12))
    resumed = prefiltered(tmp_path, "known_cost")
    resumed.run(Limits(trials=13))
    chooser = resumed.sampler.prefilter
    assert chooser is not None
    assert {c.arch for c in resumed.stored.candidates()} <= set(chooser.scores)
    assert chooser.scored <= 24 + 4  # the usual ones, and the proposals of one trial


@pytest.mark.usefixtures("stub")
@pytest.mark.parametrize("missing", [None, "score", "proxy"])
def test_scores_are_heard_where_short_accuracies_are_joined(
    missing: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Sequence[Sequence[float]]] = []
    run = prefiltered(tmp_path, "random")
    noted = Prefilter.noted
    monkeypatch.setattr(
        Prefilter, "noted", lambda self, arch: _spoilt(noted(self, arch), missing if arch.depth > 3 else None)
    )
    run.run(Limits(trials=TRIALS))
    monkeypatch.setattr(believed, "believed", lambda *given: heard.append(given[-1]) or (range(TRIALS), None))
    believed.of_study(run.stored, SPACE)
    assert run.sampler.prefilter is not None
    scores = [
        -math.inf if missing and c.arch.depth > 3 else run.sampler.prefilter.scores[c.arch]
        for c in run.stored.complete()
    ]
    assert (-math.inf in scores) == bool(missing)
    assert heard == [[] if missing == "proxy" else [scores]]


def _spoilt(noted: dict[str, float | None], missing: str | None) -> dict[str, float | None]:
    return {} if missing == "proxy" else dict.fromkeys(noted) if missing == "score" else noted


def test_a_model_learns_that_a_proxy_misleads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This one falls as accuracy grows: who follows it picks the worst of eight, who learns from trials the best."""
    monkeypatch.setattr(proxies, "score", lambda arch, wanted, *_: dict.fromkeys(wanted, -accuracy(arch)))
    run, chooser, rng = search(tmp_path, "known_cost"), prefilter(), Random(0)
    run.run(Limits(trials=24))
    followed, learned = [], []
    for seed in range(12):
        eight = [feasible().draw(rng)[0] for _ in range(8)]
        followed.append(accuracy(chooser.choose(eight, run.study, samplers.find("evolution"), seed)))
        learned.append(accuracy(chooser.choose(eight, run.study, samplers.find("known_cost"), seed)))
    assert sum(learned) / 12 > sum(followed) / 12 + 0.05


@pytest.mark.usefixtures("stub")
def test_the_first_proposal_is_what_the_sampler_alone_would_have_said(tmp_path: Path) -> None:
    """Without a prefilter nothing changes; with one, the plain proposal is among those that are compared."""
    plain, chosen = search(tmp_path / "plain", "random"), prefiltered(tmp_path / "chosen", "random")
    plain.run(Limits(trials=1))
    chosen.run(Limits(trials=1))
    assert chosen.sampler.prefilter is not None
    (alone,) = plain.stored.candidates()
    assert alone.arch in chosen.sampler.prefilter.scores
    assert "proxies" not in alone.attrs


@pytest.mark.usefixtures("stub")
def test_what_is_compared_differs_even_where_a_sampler_repeats_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, same, compared = prefiltered(tmp_path, "random"), feasible().draw(Random(1))[0], list[list[Arch]]()
    run.sampler.proposer = lambda *_: lambda: same
    best = Prefilter.best
    monkeypatch.setattr(Prefilter, "best", lambda self, four: compared.append(list(four)) or best(self, four))
    run.run(Limits(trials=2))
    assert [len(set(four)) for four in compared] == [4, 4]
    assert compared[0][0] == same


@pytest.mark.usefixtures("stub")
def test_a_space_is_searched_to_its_last_network(tmp_path: Path) -> None:
    budget = Budget.parse("0.25MFLOPs")
    run = prefiltered(tmp_path, "random", budget=budget)
    assert "no other that fits" in run.run(Limits(trials=1000))
    texts = [str(c.arch) for c in run.stored.complete()]
    assert len(set(texts)) == len(texts) == feasible(budget)._table.total


def test_the_gate_without_a_prefilter_needs_none() -> None:
    assert BudgetedSampler(samplers.find("random"), feasible(), 0).prefilter is None


# --------------------------------------------------------------------------------------- the command


def test_the_command_scores_tells_and_goes_on_only_with_the_same_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.py").write_text(FILE)
    line = ["--budget", "8MFLOPs", "--space", "space.py:small", "--study", "s", "--no-export", *QUICK]
    assert main([*line, "--prefilter", "swap:2x", "--trials", "1"]) == 0
    said = capsys.readouterr().err
    assert "by known_cost prefiltered by swap:2x" in said
    assert re.search(r"prefilter swap:2x: \d+ networks scored in \d", said)
    (candidate,) = open_study("sqlite:///results/nas.db").candidates()
    assert candidate.attrs["proxies"]["swap"] > 0
    assert main([*line, "--prefilter", "swap:2x", "--trials", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["spent_s"]["prefilter"] > 0
    sentence = fails(lambda: main([*line, "--trials", "3"]), capsys)
    assert "prefilter 'swap:2x', now ''" in sentence
    assert "NAME:Nx" in fails(lambda: main([*line, "--prefilter", "swap"]), capsys)


def test_a_study_from_before_prefilters_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.py").write_text(FILE)
    line = ["--budget", "8MFLOPs", "--space", "space.py:small", "--study", "s", "--no-export", *QUICK]
    assert main([*line, "--trials", "1"]) == 0
    stored = open_study("sqlite:///results/nas.db")
    stored.study.set_user_attr(META, {k: v for k, v in stored.meta.items() if k != "prefilter"})
    assert main([*line, "--trials", "2"]) == 0
    assert "prefilter ''" in fails(lambda: main([*line, "--trials", "3", "--prefilter", "swap:2x"]), capsys)
