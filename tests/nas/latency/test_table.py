"""Predictions are exact sums, which budgets keep."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from scipy.stats import chisquare

from nas.errors import UserError
from nas.latency import rates, table
from nas.latency.budgets import within
from nas.latency.cover import cover
from nas.latency.predictor import Predictor
from nas.latency.setting import keys
from nas.latency.table import Table, Whole
from search_spaces.arch import Arch
from search_spaces.budget import Budget
from search_spaces.errors import BudgetError
from search_spaces.feasible import Feasible
from search_spaces.layers import Conv, Linear, Shape, chain, concat, conv_norm_act
from search_spaces.spaces import find
from tests.nas.latency.made import CPU, MACHINE, priced
from tests.search_spaces.small import CLASSES, SMALL, written_out


@pytest.mark.parametrize("name", ["flat", "twins"])
def test_a_prediction_is_the_sum_of_its_parts(name: str) -> None:
    found = priced(name)
    predictor = Predictor(found)
    for arch in written_out(name):
        said = predictor(arch, 3, CLASSES)
        wanted = 0.5 + 1.25 * sum(found.parts[key] for key in keys(arch, 3, CLASSES))
        assert said.ms == pytest.approx(wanted, abs=1e-4)
        assert said.estimated == 0


@pytest.mark.parametrize("name", SMALL)
def test_the_cover_shows_every_part(name: str) -> None:
    space = SMALL[name]
    wanted = {key for arch in written_out(name) for key in keys(arch, 3, CLASSES)}
    found = list(cover(space.lattice(3, CLASSES), CLASSES, set(), Random(0)))
    assert set().union(*(new for _, new in found)) == wanted
    assert sum(len(new) for _, new in found) == len(wanted)
    for arch, new in found:
        assert new <= set(keys(arch, 3, CLASSES))
    assert not list(cover(space.lattice(3, CLASSES), CLASSES, wanted, Random(0)))


@pytest.mark.parametrize("limits", [(0.3, None), (0.6, 0.5)], ids=str)
@pytest.mark.parametrize("name", ["flat", "twins"])
def test_draws_are_uniform_among_the_networks_within_a_latency(name: str, limits: tuple[float, float | None]) -> None:
    latency, (part, flops) = Predictor(priced(name)), limits
    timed = Feasible(SMALL[name], Budget(), 3, CLASSES, latency)
    costs = {arch: timed.cost(arch) for arch in written_out(name)}
    asked = []
    for metric, share in (("latency_ns", part), ("flops", flops)):
        known = sorted(getattr(c, metric) for c in costs.values())
        asked += [(metric, known[int(share * (len(known) - 1))])] if share else []
    feasible = Feasible(SMALL[name], Budget(tuple(asked), "cpu"), 3, CLASSES, latency)
    allowed = [arch for arch, c in costs.items() if all(getattr(c, metric) <= limit for metric, limit in asked)]
    assert {arch for arch in costs if feasible.fits(arch)} == set(allowed)
    rng = Random(f"{name} {limits}")
    drawn = [feasible.draw(rng) for _ in range(8 * len(allowed))]
    counted = Counter(arch for arch, _ in drawn)
    assert set(counted) <= set(allowed)
    assert chisquare([counted[arch] for arch in allowed]).pvalue > 0.001
    assert all(its_cost == costs[arch] for arch, its_cost in drawn)
    least, most = feasible.share()
    assert least <= len(allowed) / len(costs) <= most
    for arch in Random(0).sample(sorted(costs, key=str), min(30, len(costs))):
        assert feasible.fits(feasible.repair(arch))


def test_a_latency_that_no_network_keeps_names_the_fastest() -> None:
    with pytest.raises(
        BudgetError, match=r"the cheapest network of flat has \d\.\d+ms@cpu, but the budget is 0\.1ms@cpu"
    ):
        Feasible(SMALL["flat"], Budget.parse("0.1ms@cpu"), 3, CLASSES, Predictor(priced("flat")))
    with pytest.raises(BudgetError, match="needs a table"):
        Feasible(SMALL["flat"], Budget.parse("8ms@cpu"), 3, CLASSES)


def test_what_no_entry_names_is_estimated_by_rates_that_fit() -> None:
    """Rates are recovered from parts that were made of them, and carry to a part that was not among these."""
    made = dict.fromkeys(rates.FEATURES, 0.0) | {"pointwise_macs": 0.02, "depthwise_macs": 0.05, "layers": 9000.0}
    shapes = [Shape(8, n, n) for n in (4, 7, 14, 28)]
    layers = [conv_norm_act(16), conv_norm_act(8, 3, groups=8), chain(Conv(8), Conv(24, bias=True)), Conv(8, 5)]
    layers += [chain(Conv(8, 3, groups=2)), concat(Conv(8), Conv(4))]
    known = [(part, s, rates.estimate_ns(made, part, s) / 1e6) for part in layers for s in shapes]
    known += [(Linear(10), Shape(n, 1, 1), rates.estimate_ns(made, Linear(10), Shape(n, 1, 1)) / 1e6) for n in (9, 99)]
    found = rates.fit(known)
    other = (chain(conv_norm_act(64), conv_norm_act(64, 5, groups=64), Conv(16)), Shape(16, 20, 20))
    assert rates.estimate_ns(found, *other) == pytest.approx(rates.estimate_ns(made, *other), rel=1e-6)
    empty = Table(CPU, MACHINE, "2026", {}, rates=made)
    said = Predictor(empty)(Arch.parse("r32 | conv_stem(width=8) | fire c16 | pool_head"))
    assert said.ms > 0
    assert said.estimated == 1


def test_a_table_reads_back_as_it_was_written(tmp_path: Path) -> None:
    found = replace(
        priced("flat"), networks=(Whole("r32 | conv_stem | pool_head", 3, 10, 1.5),), clock="cpu", trust=0.5
    )
    path = table.write(found, tmp_path / "here.json")
    assert table.read(str(path)) == found
    with_reference = replace(found, reference=found.networks[0])
    assert table.read(str(table.write(with_reference, path))) == with_reference


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "another"}', "null"])
def test_what_is_no_table_is_said(text: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="a latency table is a JSON file of"):
        table.read(str(path))


def test_a_missing_table_says_how_to_make_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"no results/latency/phone\.json: measure one by .*--build phone"):
        within(find("mobile"), Budget.parse("8ms@phone"), 3, 1000)
