"""Draws and repairs within a budget, against small spaces written out whole."""

from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import cast

import pytest
from scipy.stats import chisquare

from search_spaces.arch import Arch, Stage
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.fire import Fire
from search_spaces.blocks.inverted_residual import InvertedResidual
from search_spaces.blocks.plain_conv import PlainConv
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.budget import Budget
from search_spaces.cost import cost
from search_spaces.errors import BudgetError
from search_spaces.feasible import Feasible
from search_spaces.holes import OneOf, fillings
from search_spaces.layers import Conv, Layer
from search_spaces.part import Block, Stem
from search_spaces.space import Space
from search_spaces.spaces import find
from tests.search_spaces.small import CLASSES, SMALL, hamming, written_out

# few flops want the first stage, few parameters the second
APART = Space(
    "apart",
    Arch(
        64,
        ConvStem(8),
        (OneOf(Stage(Fire(), 64, stride=8), Stage(Fire(), 8), Stage(Fire(), 16, stride=2)),),
        PoolHead(),
    ),
)


def within(name: str, **parts: float) -> Feasible:
    """A small space under limits that each admit a part of it: `flops=0.3` admits the cheaper 30 %."""
    limits = []
    for metric, part in parts.items():
        known = sorted(getattr(c, metric) for c in written_out(name).values())
        limits.append((metric, known[int(part * (len(known) - 1))]))
    return Feasible(SMALL[name], Budget(tuple(limits)), 3, CLASSES)


def fitting(feasible: Feasible) -> list[Arch]:
    return [arch for arch, c in written_out(feasible.space.name).items() if feasible.budget.fits(c)]


TIGHT = [
    {"flops": 0.1},
    {"macs": 0.5},
    {"params": 0.3},
    {"flops": 0.4, "params": 0.3},
    {"macs": 0.2, "params": 0.9},
    {},
]


@pytest.mark.parametrize("limits", TIGHT, ids=str)
@pytest.mark.parametrize("name", SMALL)
def test_draws_are_uniform_among_what_fits(name: str, limits: dict[str, float]) -> None:
    feasible = within(name, **limits)
    allowed, rng = fitting(feasible), Random(f"{name} {limits}")
    drawn = Counter(feasible.draw(rng)[0] for _ in range(8 * len(allowed)))
    assert set(drawn) <= set(allowed)
    assert chisquare([drawn[arch] for arch in allowed]).pvalue > 0.001


@pytest.mark.parametrize("limits", TIGHT, ids=str)
@pytest.mark.parametrize("name", SMALL)
def test_what_fits_is_what_fits(name: str, limits: dict[str, float]) -> None:
    feasible = within(name, **limits)
    allowed = set(fitting(feasible))
    assert {arch for arch in written_out(name) if feasible.fits(arch)} == allowed
    least, most = feasible.share()
    assert least - 1e-12 <= len(allowed) / len(written_out(name)) <= most + 1e-12
    assert feasible.most() >= len(allowed)


def test_a_draw_comes_with_its_cost_as_deployed() -> None:
    feasible = Feasible(SMALL["nested"], Budget((("flops", 10**9),)), in_channels=1, num_classes=3)
    for seed in range(50):
        arch, its_cost = feasible.draw(Random(seed))
        assert its_cost == feasible.cost(arch) == cost(arch, 1, 3)


def test_equal_seeds_draw_equal_networks() -> None:
    feasible = Feasible(find("mobile").at(224), Budget.parse("300MFLOPs"))
    assert feasible.draw(Random(3)) == feasible.draw(Random(3))
    assert feasible.draw(Random(3)) != feasible.draw(Random(4))


def test_ten_thousand_draws_of_mobile_at_300_mflops_are_distinct_and_none_is_over() -> None:
    feasible = Feasible(find("mobile").at(224), Budget.parse("300MFLOPs"))
    rng, seen = Random(0), set()
    for _ in range(10_000):
        arch, its_cost = feasible.draw(rng)
        assert its_cost.flops <= 300_000_000
        seen.add(arch)
    assert len(seen) == 10_000
    for arch in list(seen)[:200]:
        assert cost(arch).flops <= 300_000_000
        assert arch in feasible.space


@pytest.mark.usefixtures("own_parts")
def test_networks_are_valid_for_the_channels_of_their_deployment() -> None:
    """A stem of one group a band has no network for three of them."""

    @dataclass(frozen=True)
    class Bands(Stem):
        def layer(self, in_channels: int) -> Layer:
            return Conv(8, 3, 2, groups=in_channels)

    space = Space("bands", Arch(32, Bands(), (Stage(Fire(), OneOf(8, 16, 24)),), PoolHead()))
    feasible, rng = Feasible(space, Budget(), in_channels=4, num_classes=CLASSES), Random(0)
    arch, _ = feasible.draw(rng)
    assert feasible.fits(arch)
    assert arch in feasible.space
    assert arch not in space
    assert len(list(feasible.space.neighbours(arch))) == 2
    assert feasible.space.mutate(arch, rng) != arch
    assert feasible.space.sample(rng) in feasible.space
    assert feasible.space.size() == 3
    assert Feasible(space, Budget(), 4, CLASSES).space is feasible.space  # whose lattice is read once


# ------------------------------------------------------------------------------------------ repair


@pytest.mark.parametrize("limits", [{"flops": 0.3}, {"params": 0.5}, {"flops": 0.5, "params": 0.5}], ids=str)
def test_a_repair_is_the_nearest_network_that_fits(limits: dict[str, float]) -> None:
    """By brute force on the flat space: one choice if one suffices, then the smallest step, then the least lost."""
    feasible = within("flat", **limits)
    allowed = fitting(feasible)
    for arch in Random(0).sample(sorted(written_out("flat"), key=str), 80):
        repaired = feasible.repair(arch)
        assert repaired in set(allowed)
        if arch in set(allowed):
            assert repaired == arch
            continue
        near = [other for other in allowed if hamming(arch, other) == 1]
        if near:
            assert hamming(arch, repaired) == 1
            steps = feasible.space.distance(arch, repaired)
            assert steps == min(feasible.space.distance(arch, other) for other in near)
            tied = [other for other in near if feasible.space.distance(arch, other) == steps]
            excess = feasible.budget.excess(feasible.cost(repaired))
            assert excess == max(feasible.budget.excess(feasible.cost(other)) for other in tied)


@pytest.mark.parametrize("limits", [{"flops": 0.0}, {"flops": 0.2}, {"params": 0.02, "flops": 0.3}], ids=str)
@pytest.mark.parametrize("name", ["nested", "twins"])
def test_a_repair_fits_and_stays_in_the_space(name: str, limits: dict[str, float]) -> None:
    feasible = within(name, **limits)
    allowed = set(fitting(feasible))
    for arch in Random(0).sample(sorted(written_out(name), key=str), min(60, len(written_out(name)))):
        assert feasible.repair(arch) in allowed


def test_a_repair_out_of_a_dead_end_keeps_every_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no single change helps: the cheapest network by either limit breaks the other."""
    strided, narrow, middle = fillings(APART.template)
    kept = cost(middle, 3, 2)
    feasible = Feasible(APART, Budget((("flops", kept.flops), ("params", kept.params))), 3, 2)
    assert feasible.lattice.extreme("flops")[0] == strided
    assert feasible.lattice.extreme("params")[0] == narrow
    assert [arch for arch in (strided, narrow, middle) if feasible.fits(arch)] == [middle]
    monkeypatch.setattr(Space, "neighbours", lambda self, arch: iter(()))
    assert feasible.repair(strided) == feasible.repair(narrow) == middle


def test_a_repair_out_of_a_dead_end_is_the_cheapest_if_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    feasible = within("nested", macs=0.1)
    monkeypatch.setattr(Space, "neighbours", lambda self, arch: iter(()))
    dearest = feasible.lattice.extreme("macs", -1)[0]
    assert feasible.repair(dearest) == feasible.lattice.extreme("macs")[0]


# ------------------------------------------------------------------------------------------ errors


def test_an_impossible_budget_names_the_cheapest_network() -> None:
    with pytest.raises(BudgetError) as caught:
        Feasible(find("mobile").at(224), Budget.parse("1MFLOPs"))
    text = str(caught.value)
    assert "the cheapest network of mobile has 82.530496M FLOPs" in text
    assert "but the budget is 1MFLOPs" in text
    cheapest = Arch.parse(text.rsplit(": ", 1)[1])
    assert cheapest in find("mobile").at(224)
    assert cost(cheapest).flops == 82_530_496


@pytest.mark.parametrize("order", ["{flops}FLOPs, {peak}B@int8", "{peak}B@int8, {flops}FLOPs"])
def test_a_limit_that_none_within_the_peak_keeps_is_an_error(order: str) -> None:
    """The plain convolution has the lower peak, the inverted residual the fewer FLOPs."""
    blocks = OneOf(cast(Block, PlainConv(kernel=7)), InvertedResidual())
    space = Space("either", Arch(64, ConvStem(16), (Stage(blocks, 16),), PoolHead()))
    plain, inverted = (cost(arch) for arch in fillings(space.template))
    assert plain.peak_activations < inverted.peak_activations
    assert inverted.flops < plain.flops
    budget = Budget.parse(order.format(flops=inverted.flops, peak=plain.peak_activations))
    with pytest.raises(
        BudgetError, match=r"cheapest network of either within 32\.768kB@int8 has .* FLOPs, but the bud"
    ):
        Feasible(space, budget)


def test_limits_that_exclude_each_other_end_in_an_error() -> None:
    strided, narrow, _ = (cost(arch, 3, 2) for arch in fillings(APART.template))
    feasible = Feasible(APART, Budget((("flops", strided.flops), ("params", narrow.params))), 3, 2)
    with pytest.raises(BudgetError, match="loosen one of the limits"):
        feasible.draw(Random(0))
