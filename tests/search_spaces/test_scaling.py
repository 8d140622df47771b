"""Scaling keeps its laws, keeps every family valid, and says what is realised."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces import zoo
from search_spaces.arch import Arch, Stage
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.dense import Dense
from search_spaces.blocks.plain_conv import PlainConv
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.budget import Budget
from search_spaces.cost import cost
from search_spaces.errors import ArchError, BudgetError
from search_spaces.layers import Conv, Layer
from search_spaces.part import Stem
from search_spaces.scaled_grid import flops
from search_spaces.scaling import COMPOUND, MIXES, Mix, along, compound, fit, marginal, mixes, scale
from search_spaces.spaces import find, names
from tests.strategies import SEEDS

B0 = zoo.find("efficientnet_b0").arch
FAMILIES = {family: zoo.family(family)[0] for family in zoo.families()}
PUBLISHED = ((1.0, 1.1, 240), (1.1, 1.2, 260), (1.2, 1.4, 300), (1.4, 1.8, 380), (1.6, 2.2, 456), (1.8, 2.6, 528))


@pytest.mark.parametrize(("number", "width", "depth", "px"), [(i, *row) for i, row in enumerate(PUBLISHED, 1)])
def test_efficientnets_come_out_of_b0(number: int, width: float, depth: float, px: int) -> None:
    """Stages and widths as published; dropout and eps, which are not scaled, aside."""
    published = zoo.find(f"efficientnet_b{number}").arch
    scaled = scale(B0, depth, width, rounding="ceil").at(px)
    assert scaled.stages == published.stages
    assert (scaled.stem, scaled.resolution) == (published.stem, published.resolution)
    assert cost(scaled) == cost(published)


@given(st.floats(1.05, 8), st.sampled_from(mixes(4)))
def test_coefficients_make_the_factor(factor: float, mix: Mix) -> None:
    alpha, beta, gamma = mix.coefficients(factor)
    assert alpha * beta**2 * gamma**2 == pytest.approx(factor)
    assert min(alpha, beta, gamma) >= 1
    again = Mix.of(alpha, beta, gamma)
    assert (again.depth, again.width) == pytest.approx((mix.depth, mix.width))


def test_mixes_cover_the_triangle() -> None:
    assert len(mixes(4)) == len(set(mixes(4))) == 15
    assert all(sum((m.depth, m.width, m.resolution)) == pytest.approx(1) for m in mixes(5))
    with pytest.raises(ArchError, match="three parts of sum 1"):
        Mix(0.5, 0.5, 0.5)


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_scales_both_ways(family: str, mix: str) -> None:
    """Valid, parsed back, and dearer above 1; cheaper below, where there is anything to take away."""
    arch = FAMILIES[family].arch
    larger, smaller = along(arch, MIXES[mix], 2.0), along(arch, MIXES[mix], 0.5)
    assert Arch.parse(str(larger)) == larger
    assert 1.4 * cost(arch).flops < cost(larger).flops < 3.0 * cost(arch).flops
    assert cost(smaller).flops <= cost(arch).flops
    assert cost(smaller).flops < 0.9 * cost(arch).flops or mix == "depth"


@settings(max_examples=60)
@given(st.sampled_from(names()), SEEDS, st.floats(0.4, 2.5), st.floats(0.4, 2.5), st.floats(0.7, 1.5))
def test_any_network_of_any_space_scales(name: str, seed: int, depth: float, width: float, resolution: float) -> None:
    arch = find(name).sample(Random(seed))
    scaled = scale(arch, depth, width, resolution)
    assert scale(arch) == arch
    assert Arch.parse(str(scaled)) == scaled
    assert cost(scaled).flops > 0


@pytest.mark.parametrize("family", FAMILIES)
def test_widths_stay_where_only_depth_and_resolution_grow(family: str) -> None:
    """Also those that are no multiple of 8."""
    arch = FAMILIES[family].arch
    odd = replace(arch, stem=replace(arch.stem, width=13)) if isinstance(arch.stem, ConvStem) else arch
    assert scale(odd) == odd
    deeper = scale(odd, depth=2, resolution=1.5)
    assert (deeper.stem, deeper.head) == (odd.stem, odd.head)
    grown = [isinstance(s.block, Dense) and not s.block.transition for s in arch.stages]
    assert all(g or a.width == b.width for g, a, b in zip(grown, odd.stages, deeper.stages, strict=True))


@pytest.mark.parametrize(
    ("text", "deeper", "wider"),
    [
        ("conv_stem(width=16) | inverted_residual c12 n2", "inverted_residual c12 n4", "inverted_residual c24 n2"),
        ("conv_stem(width=16) | max_pool c32 s2", "max_pool c32 s2", "max_pool c64 s2"),
        ("conv_stem(width=12) | max_pool c12 s2", "max_pool c12 s2", "max_pool c24 s2"),
        ("conv_stem(width=15) | shuffle_unit(groups=5) c15", "shuffle_unit(groups=5) c15 n2", None),
        ("conv_stem(width=9) | inception(widths=(3, 3, 3, 3, 3, 3)) c12", "c12 n2", "c32"),
    ],
)
def test_a_stage_keeps_the_width_that_is_not_scaled(text: str, deeper: str, wider: str | None) -> None:
    """A pool with a projection keeps it; one without follows what it reads."""
    arch = Arch.parse(f"r64 | {text} | pool_head(width=20, hidden=10)")
    assert str(scale(arch, depth=2).stages[0]).endswith(deeper)
    assert scale(arch, depth=2).head == arch.head
    assert wider is None or str(scale(arch, width=2).stages[0]).endswith(wider)


@given(st.floats(0.3, 4.0))
def test_spread_keeps_the_sum_of_depths(depth: float) -> None:
    """Within half a block, unless stages would vanish."""
    arch = zoo.find("resnet50").arch
    scaled = scale(arch, depth)
    assert abs(scaled.depth - arch.depth * depth) <= 0.5 + 1e-9 or min(s.depth for s in scaled.stages) == 1
    assert scale(arch, depth, rounding="ceil").depth >= arch.depth * depth - 1e-6


@given(st.sampled_from(["resnet50", "mobilenet_v2", "efficientnet_b0"]), st.floats(0.3, 4), st.floats(1, 1.3))
def test_more_depth_takes_a_block_from_no_stage(name: str, depth: float, more: float) -> None:
    arch = zoo.find(name).arch
    before, after = scale(arch, depth), scale(arch, depth * more)
    assert all(b.depth <= a.depth for b, a in zip(before.stages, after.stages, strict=True))


@pytest.mark.parametrize("phi", [0.25, 0.5, 1.0, 2.0, 3.5])
def test_spread_keeps_compound_scaling_near_its_law(phi: float) -> None:
    """1.92^φ, within 18 %: EfficientNet's own rounding costs 34 % more at φ = 1."""
    ratio = cost(compound(B0, phi)).macs / cost(B0).macs
    assert ratio == pytest.approx(1.9203**phi, rel=0.18)


@pytest.mark.parametrize("mix", MIXES.values(), ids=MIXES)
@pytest.mark.parametrize("limit", ["150MFLOPs", "1GFLOPs", "600MMACs, 12Mparams"])
def test_fit_ends_just_under_the_budget(limit: str, mix: Mix) -> None:
    """No factor of a fine grid ends nearer to it."""
    budget = Budget.parse(limit)
    if mix == MIXES["depth"] and limit == "150MFLOPs":
        with pytest.raises(BudgetError, match="must shrink to 150MFLOPs in this direction"):
            fit(B0, mix, budget)
        return
    fitted = fit(B0, mix, budget)
    metric = budget.limits[0][0]
    assert budget.fits(cost(fitted))
    for i in range(200):
        tried = cost(along(B0, mix, 0.3 * 1.02**i))
        assert not budget.fits(tried) or getattr(tried, metric) <= 1.01 * getattr(cost(fitted), metric)


def test_marginal_costs_are_the_slopes_of_the_laws() -> None:
    """A tower of plain convolutions, by hand: its stem and head do not deepen, its head does not see more pixels."""
    arch = Arch(64, ConvStem(16), (Stage(PlainConv(), 16, 8),), PoolHead())
    stem, first, head = 3 * 16 * 9 * 32**2, 16 * 16 * 9 * 32**2 * 8, 16 * 1000
    macs = stem + first + head
    assert cost(arch).macs == macs
    slopes = marginal(arch, "macs")
    assert slopes["depth"] == pytest.approx(first / macs)
    assert slopes["width"] == pytest.approx((stem + 2 * first + head) / macs)
    assert slopes["resolution"] == pytest.approx(2 * (stem + first) / macs)


def test_marginal_costs_are_exact_where_widths_are_no_multiples_of_8() -> None:
    arch = Arch(64, ConvStem(5), (Stage(PlainConv(), 12, 8),), PoolHead())
    outer, inner = 3 * 5 * 9 * 32**2 + 12 * 1000, (5 + 7 * 12) * 12 * 9 * 32**2
    assert cost(arch).macs == outer + inner
    assert marginal(arch, "macs")["width"] == pytest.approx((outer + 2 * inner) / (outer + inner))


@pytest.mark.parametrize("metric", ["flops", "params", "peak_activations"])
def test_marginal_costs_are_those_of_a_little_more(metric: str) -> None:
    """Of a network so wide and large that rounding does not matter, 10 % more adds about ten times as much.

    Not so for depth: which stage gets the next block decides how much it adds.
    """
    arch = scale(zoo.find("mobilenet_v2").arch, 2, 8, 4)
    one = getattr(cost(arch), metric)
    slopes = marginal(arch, metric)
    for axis in ("width", "resolution"):
        slope = slopes[axis]
        more = getattr(cost(scale(arch, **{axis: 1.1})), metric) / one
        assert more == pytest.approx(1.1**slope, abs=0.025)


@pytest.mark.usefixtures("own_parts")
def test_networks_scale_at_the_channels_that_they_read() -> None:
    """A stem of one group a band is none for three of them."""

    @dataclass(frozen=True)
    class Banded(Stem):
        def layer(self, in_channels: int) -> Layer:
            return Conv(8, 3, 2, groups=in_channels)

    arch = Arch(64, Banded(), (Stage(PlainConv(), 16, 2),), PoolHead())
    with pytest.raises(ArchError, match="groups must divide"):
        scale(arch)
    assert scale(arch, in_channels=4) == arch
    assert str(along(arch, MIXES["depth"], 2, in_channels=4).stages[0]) == "plain_conv c16 n4"
    assert marginal(arch, "flops", 4)["resolution"] > 0
    limit = cost(arch, 4).flops
    assert fit(arch, MIXES["resolution"], Budget((("flops", 4 * limit),)), 4).resolution > 64
    assert flops(arch, (1.0,), (1.0,), in_channels=4) == [[limit]]


@pytest.mark.parametrize(
    ("factors", "said"),
    [
        ({"depth": 0.0}, "factors must be more than 0"),
        ({"depth": -1.0}, "factors must be more than 0"),
        ({"width": float("nan")}, "factors must be more than 0"),
        ({"depth": float("inf")}, "and at most 65536, but got inf"),
        ({"width": 1e308}, "and at most 65536, but got 1, 1e[+]308"),
        ({"depth": 60_000.0}, r"a stage has at most 256 blocks, but got 80000"),
        ({"depth": 200.0, "rounding": "ceil"}, "a stage has at most 256 blocks, but got 400"),
        ({"resolution": 100.0}, "a resolution is at most 4096 px"),
        ({"resolution": 0.01}, "at least 1×1"),
        ({"rounding": "up"}, "a rounding is one of spread, ceil"),
    ],
)
def test_what_cannot_be_scaled_is_said(factors: dict[str, object], said: str) -> None:
    with pytest.raises(ArchError, match=said):
        scale(zoo.find("squeezenet1_0").arch, **factors)  # type: ignore[arg-type]


def test_compound_goes_between_the_axes() -> None:
    assert sum((COMPOUND.depth, COMPOUND.width, COMPOUND.resolution)) == pytest.approx(1)
    assert COMPOUND.coefficients(1.2 * 1.1**2 * 1.15**2) == pytest.approx((1.2, 1.1, 1.15))
