"""Grouped convolutions as numbers: ResNeXt's cardinality, channel shuffles and ShuffleNet's units."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces import zoo
from search_spaces.blocks.bottleneck import Bottleneck
from search_spaces.blocks.resnext import Resnext
from search_spaces.blocks.shuffle_unit import ShuffleUnit
from search_spaces.cost import layer_cost
from search_spaces.layers import Add, AvgPool, Concat, Conv, Identity, Shape, Shuffle
from tests.search_spaces.systems import CHANNELS, SIZES, blocks, kinds, macs, of, of_arch, unshaped

# ---------------------------------------------------------------------- arithmetic: cardinality, groups, shuffles

# ResNeXt's three forms with their batch norms, outputs and costs: tests/nas/test_residual.py.


def test_a_resnext_block_of_32x4d_is_as_large_as_resnets_bottleneck() -> None:
    """Equation 4 of the paper: C·(256·d + 3·3·d·d + d·256) weights, about 70 thousand, as 256·64 + 9·64·64 + 64·256."""
    grouped, plain = Resnext(32, 0.5).layer(256, 256, 1), Bottleneck().layer(256, 256, 1)
    assert of(grouped, 256, 56, 56).params == 32 * (256 * 4 + 9 * 4 * 4 + 4 * 256) + 2 * (128 + 128 + 256)
    assert of(plain, 256, 56, 56).params == 256 * 64 + 9 * 64 * 64 + 64 * 256 + 2 * (64 + 64 + 256)
    assert 32 * (256 * 4 + 9 * 4 * 4 + 4 * 256) == 70_144
    assert 256 * 64 + 9 * 64 * 64 + 64 * 256 == 69_632


@pytest.mark.parametrize(("name", "cardinality", "width"), [("resnext50_32x4d", 32, 4), ("resnext101_32x8d", 32, 8)])
def test_resnexts_cardinality_and_width_of_a_path(name: str, cardinality: int, width: int) -> None:
    """C groups of d channels in the first stage, and paths twice as wide at each next one."""
    grouped = [leaf for leaf, _ in of_arch(zoo.find(name).arch) if isinstance(leaf, Conv) and leaf.groups > 1]
    assert {conv.groups for conv in grouped} == {cardinality}
    assert {conv.kernel for conv in grouped} == {3}
    assert sorted({conv.channels // cardinality for conv in grouped}) == [width, 2 * width, 4 * width, 8 * width]


@given(CHANNELS, CHANNELS, st.integers(1, 8), SIZES)
def test_groups_divide_a_convolutions_cost(m: int, n: int, groups: int, size: int) -> None:
    whole, grouped = Conv(n * groups, 3), Conv(n * groups, 3, groups=groups)
    shape = (m * groups, size, size)
    assert macs(whole, *shape) == groups * macs(grouped, *shape)
    assert of(whole, *shape).params == groups * of(grouped, *shape).params


@given(st.integers(1, 12), st.integers(1, 12), SIZES)
def test_a_channel_shuffle_costs_nothing(groups: int, rest: int, size: int) -> None:
    """In multiply-adds, parameters and written elements of convolutions; it keeps the shape."""
    shape = Shape(groups * rest, size, size)
    output, read = layer_cost(Shuffle(groups), shape)
    assert output == shape
    assert (read.flops, read.macs, read.params, read.activations) == (0, 0, 0, 0)


# ------------------------------------------------------------------------------------------- ShuffleNet


@pytest.mark.parametrize(("groups", "width"), [(1, 144), (2, 200), (3, 240), (4, 272), (8, 384)])
def test_shufflenets_units_have_the_order_of_figure_2(groups: int, width: int) -> None:
    """1×1, ReLU, shuffle, 3×3 depthwise without ReLU, 1×1; ReLU after the sum or the concatenation."""
    found = blocks(zoo.find(f"shufflenet_g{groups}").arch)
    assert [layer.out(shape).channels for _, layer, shape in found] == [width] * 4 + [2 * width] * 8 + [4 * width] * 4
    for _, layer, _ in found:
        kept, rest = kinds(layer).split(" ", 1)
        assert rest == "Conv BatchNorm Act Shuffle Conv BatchNorm Conv BatchNorm Act"
        assert kept in ("Identity", "AvgPool")
        _, depthwise, expand = learned = [leaf for leaf in unshaped(layer) if isinstance(leaf, Conv)]
        assert [conv.kernel for conv in learned] == [1, 3, 1]
        assert depthwise.groups == depthwise.channels
        assert expand.groups == groups


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 8])
def test_shufflenets_first_1x1_convolution_alone_is_not_grouped(groups: int) -> None:
    """In stage 2 "we do not apply group convolution on the first pointwise layer": 24 channels are few."""
    found = blocks(zoo.find(f"shufflenet_g{groups}").arch)
    first = [next(leaf for leaf in unshaped(layer) if isinstance(leaf, Conv)).groups for _, layer, _ in found]
    assert first == [1] + [groups] * 15


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 8])
def test_shufflenets_strided_units_concatenate_a_3x3_average_pool_and_the_others_add(groups: int) -> None:
    for number, (_, layer, shape) in enumerate(blocks(zoo.find(f"shufflenet_g{groups}").arch)):
        joined = layer.layers[0]  # type: ignore[attr-defined]
        if number in (0, 4, 12):
            assert isinstance(joined, Concat)
            assert joined.layers[0] == AvgPool(3, 2, 1)
            assert joined.layers[1].out(shape).channels == layer.out(shape).channels - shape.channels
        else:
            assert isinstance(joined, Add)
            assert joined.layers[0] == Identity()


@given(st.integers(1, 8), st.integers(1, 20), SIZES)
def test_a_shufflenet_unit_takes_hw_times_2cm_over_g_plus_9m(groups: int, quarter: int, size: int) -> None:
    """Section 3.2 of the paper: h·w·(2cm/g + 9m) for c channels and a bottleneck of m."""
    m = groups * quarter
    unit = ShuffleUnit(groups).layer(4 * m, 4 * m, 1)
    assert macs(unit, 4 * m, size, size) == size * size * (2 * 4 * m * m // groups + 9 * m)


@given(st.integers(1, 40), st.integers(1, 8), SIZES)
def test_the_units_that_shufflenet_compares_itself_with(m: int, groups: int, size: int) -> None:
    """Section 3.2: ResNet's takes h·w·(2cm + 9m²), ResNeXt's h·w·(2cm + 9m²/g)."""
    inner = m * groups
    c = 4 * inner
    assert macs(Bottleneck().layer(c, c, 1), c, size, size) == size**2 * (2 * c * inner + 9 * inner**2)
    grouped = Resnext(cardinality=groups, ratio=0.25).layer(c, c, 1)
    assert macs(grouped, c, size, size) == size**2 * (2 * c * inner + 9 * inner**2 // groups)
