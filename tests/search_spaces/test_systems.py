"""The systems of the field as numbers: shapes, multiply-adds and parameters, against what their papers print.

Every figure here is written out or worked out by hand; none comes from the code under test. What blocks
compute is in `tests/nas/test_mechanisms.py`, whole networks against torchvision and timm are in
`tests/nas/test_zoo.py`, and the blocks one by one are in `test_blocks.py`, to which comments refer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces import zoo
from search_spaces.arch import Arch, Stage
from search_spaces.blocks.aux_head import AuxHead
from search_spaces.blocks.bottleneck import Bottleneck
from search_spaces.blocks.conv_head import ConvHead
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.dense import Dense
from search_spaces.blocks.depthwise_separable import DepthwiseSeparable
from search_spaces.blocks.fc_head import FcHead
from search_spaces.blocks.fire import Fire
from search_spaces.blocks.inception import Inception
from search_spaces.blocks.inverted_residual import InvertedResidual
from search_spaces.blocks.plain_conv import PlainConv
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.blocks.resnext import Resnext
from search_spaces.blocks.shuffle_unit import ShuffleUnit
from search_spaces.blocks.spp_head import SppHead
from search_spaces.cost import Cost, Row, cost, layer_cost, ledger
from search_spaces.holes import OneOf
from search_spaces.layers import (
    Act,
    AdaptivePool,
    Add,
    AvgPool,
    BatchNorm,
    Chain,
    Combinator,
    Concat,
    Conv,
    Dropout,
    Identity,
    Layer,
    Linear,
    MaxPool,
    Multiply,
    Shape,
    Shuffle,
    chain,
    concat,
)
from search_spaces.part import Block
from search_spaces.scaling import scale
from search_spaces.space import Space
from search_spaces.spaces import find
from search_spaces.zoo.mobilenet_v1 import mobilenet_v1

SIZES = st.integers(1, 64)
CHANNELS = st.integers(1, 300)


def of(layer: Layer, *shape: int) -> Cost:
    return layer_cost(layer, Shape(*shape))[1]


def macs(layer: Layer, *shape: int) -> int:
    return of(layer, *shape).macs


def leaves(layer: Layer, shape: Shape) -> Iterator[tuple[Layer, Shape]]:
    """Every leaf with the shape that it reads, in order of execution."""
    if not isinstance(layer, Combinator):
        yield layer, shape
        return
    for part in layer.layers:
        yield from leaves(part, shape)
        shape = part.out(shape) if isinstance(layer, Chain) else shape


def of_arch(arch: Arch, in_channels: int = 3) -> list[tuple[Layer, Shape]]:
    return list(leaves(arch.layer(in_channels), Shape(in_channels, arch.resolution, arch.resolution)))


def blocks(arch: Arch, in_channels: int = 3) -> list[tuple[Block, Layer, Shape]]:
    """(block, its layer, the shape it reads) of all stages, in order."""
    shape, found = arch.stem.layer(in_channels).out(Shape(in_channels, arch.resolution, arch.resolution)), []
    for stage in arch.stages:
        for layer in stage.layers(shape.channels):
            found.append((stage.block, layer, shape))
            shape = layer.out(shape)
    return found


def unshaped(layer: Layer) -> list[Layer]:
    """The leaves alone."""
    return [leaf for part in layer.layers for leaf in unshaped(part)] if isinstance(layer, Combinator) else [layer]


def kinds(layer: Layer) -> str:
    """'Conv BatchNorm Act'."""
    return " ".join(type(leaf).__name__ for leaf in unshaped(layer))


# ------------------------------------------------------------ arithmetic: 1×1 convolutions (NiN, GoogLeNet)


def test_32_filters_of_1x1x192_make_28x28x192_into_28x28x32() -> None:
    """28·28 pixels, each through one fully connected layer of 192·32 weights."""
    layer, shape = Conv(32), Shape(192, 28, 28)
    assert layer.out(shape) == Shape(32, 28, 28)
    assert macs(layer, *shape) == 28 * 28 * 192 * 32 == 4_816_896
    assert of(layer, *shape).params == 192 * 32


@given(CHANNELS, CHANNELS, SIZES, SIZES)
def test_a_1x1_convolution_costs_a_fully_connected_layer_at_each_pixel(m: int, n: int, height: int, width: int) -> None:
    """Same parameters, and its multiply-adds once a pixel; height and width stay."""
    convolution, linear = of(Conv(n, bias=True), m, height, width), of(Linear(n), m, 1, 1)
    assert convolution.params == linear.params == m * n + n
    assert convolution.macs == height * width * linear.macs
    assert Conv(n).out(Shape(m, height, width)) == Shape(n, height, width)


# The naive 5×5 (120,422,400) and its bottleneck (2,408,448 + 10,035,200) as bare layers: test_blocks.py.


def test_the_5x5_branch_of_googlenets_3a_costs_2408448_and_10035200() -> None:
    branches = Inception(widths=(64, 96, 128, 16, 32, 32), norm=False).layer(192, 256, 1)
    assert isinstance(branches, Concat)
    five = branches.layers[branches.names.index("five")]
    convolutions = [(leaf, shape) for leaf, shape in leaves(five, Shape(192, 28, 28)) if isinstance(leaf, Conv)]
    assert [macs(leaf, *shape) for leaf, shape in convolutions] == [2_408_448, 10_035_200]
    assert macs(five, 192, 28, 28) == 12_443_648
    assert macs(Conv(32, 5), 192, 28, 28) == 120_422_400


def naive_inception() -> Concat:
    """Figure 2a, with the 32 pooled channels of the table: same pooling, stride 1."""
    return concat(Conv(64), Conv(128, 3), Conv(32, 5), chain(MaxPool(3, 1, 1), Conv(32)))


def test_the_naive_inception_module_makes_28x28x256() -> None:
    shape = Shape(192, 28, 28)
    outputs = [branch.out(shape) for branch in naive_inception().layers]
    assert outputs == [Shape(64, 28, 28), Shape(128, 28, 28), Shape(32, 28, 28), Shape(32, 28, 28)]
    assert naive_inception().out(shape) == Shape(256, 28, 28)
    assert MaxPool(3, 1, 1).out(shape) == shape


def test_bottlenecks_make_the_inception_module_less_than_half_as_dear() -> None:
    """By hand: 28·28·192·(64 + 9·128 + 25·32 + 32) against 3a of GoogLeNet."""
    module = Inception(widths=(64, 96, 128, 16, 32, 32), norm=False).layer(192, 256, 1)
    by_hand = 192 * 64 + 192 * 96 + 9 * 96 * 128 + 192 * 16 + 25 * 16 * 32 + 192 * 32
    assert macs(naive_inception(), 192, 28, 28) == 784 * 192 * 2048 == 308_281_344
    assert macs(module, 192, 28, 28) == 784 * by_hand == 128_049_152


# ------------------------------------------------------ arithmetic: depthwise separable convolutions (MobileNet)

# 1/N + 1/k² as a property over sizes: test_blocks.py.


def test_a_standard_3x3_convolution_of_6x6x3_to_5_channels_takes_2160_multiply_adds() -> None:
    """(3·3·3)·(4·4)·5: valid padding leaves 4×4."""
    standard = Conv(5, 3, padding=0)
    assert standard.out(Shape(3, 6, 6)) == Shape(5, 4, 4)
    assert macs(standard, 3, 6, 6) == 2160
    assert of(standard, 3, 6, 6).params == 135


def test_its_depthwise_separable_form_takes_432_and_240() -> None:
    depthwise, pointwise = Conv(3, 3, groups=3, padding=0), Conv(5)
    assert depthwise.out(Shape(3, 6, 6)) == Shape(3, 4, 4)
    assert (macs(depthwise, 3, 6, 6), macs(pointwise, 3, 4, 4)) == (432, 240)
    whole = of(chain(depthwise, pointwise), 3, 6, 6)
    assert (whole.macs, whole.params) == (672, 27 + 15)


@given(CHANNELS, st.integers(1, 2000), st.sampled_from((1, 2)), SIZES, SIZES)
def test_a_3x3_depthwise_separable_convolution_is_8_to_9_times_cheaper(
    m: int, n: int, stride: int, height: int, width: int
) -> None:
    """Standard over separable is 9N / (N + 9) at any stride and size: always below 9, from 8 on where N ≥ 72."""
    separable = macs(DepthwiseSeparable().layer(m, n, stride), m, height, width)
    standard = macs(Conv(n, 3, stride), m, height, width)
    assert standard * (n + 9) == 9 * n * separable
    assert standard < 9 * separable
    assert (standard >= 8 * separable) == (n >= 72)


@given(CHANNELS, CHANNELS, st.sampled_from((1, 3, 5)), st.integers(1, 4), st.integers(1, 12), st.integers(1, 12))
def test_a_stride_divides_cost_by_its_square(m: int, n: int, k: int, stride: int, rows: int, columns: int) -> None:
    """Exactly where it divides the size; parameters stay."""
    shape = (m, rows * stride, columns * stride)
    plain, strided = of(Conv(n, k), *shape), of(Conv(n, k, stride), *shape)
    assert plain.macs == stride**2 * strided.macs
    assert plain.params == strided.params


# ----------------------------------------------------------- arithmetic: the multipliers of MobileNetV1

# Table 1 of the paper, line by line: input channels, output channels and output pixels at 224 px of the
# thirteen depthwise separable convolutions.
HOWARD = (
    (32, 64, 112),
    (64, 128, 56),
    (128, 128, 56),
    (128, 256, 28),
    (256, 256, 28),
    (256, 512, 14),
    *((512, 512, 14),) * 5,
    (512, 1024, 7),
    (1024, 1024, 7),
)
POINTWISE_MACS = sum(m * n * size**2 for m, n, size in HOWARD)
DEPTHWISE_MACS = sum(9 * m * size**2 for m, _, size in HOWARD)
STEM_MACS, CLASSIFIER_MACS = 27 * 32 * 112**2, 1024 * 1000


def body(arch: Arch) -> int:
    """Multiply-adds of everything but the head."""
    return sum(row.cost.macs for row in ledger(arch) if row.name != "head")


def by_kind(arch: Arch, what: str) -> dict[str, int]:
    """Multiply-adds or weights (biases and batch norms left out, as the paper does) by kind of layer."""
    sums = {"1x1": 0, "depthwise": 0, "3x3": 0, "fully connected": 0}
    for leaf, shape in of_arch(arch):
        if isinstance(leaf, Conv):
            kind = "1x1" if leaf.kernel == 1 else "depthwise" if leaf.groups > 1 else "3x3"
            sums[kind] += getattr(of(leaf, *shape), what)
        elif isinstance(leaf, Linear):
            sums["fully connected"] += getattr(of(Linear(leaf.features, bias=False), *shape), what)
    return sums


def test_mobilenet_v1_is_the_13_depthwise_separable_convolutions_of_its_table() -> None:
    """3×3 depthwise, batch norm, ReLU, 1×1, batch norm, ReLU; ReLU6 in the released weights."""
    found = blocks(zoo.find("mobilenet_v1").arch)
    read = [(shape.channels, layer.out(shape).channels, layer.out(shape).height) for _, layer, shape in found]
    assert read == list(HOWARD)
    assert {kinds(layer) for _, layer, _ in found} == {"Conv BatchNorm Act Conv BatchNorm Act"}
    for _, layer, shape in found:
        depthwise, pointwise = (leaf for leaf in unshaped(layer) if isinstance(leaf, Conv))
        assert (depthwise.kernel, depthwise.groups, pointwise.kernel) == (3, shape.channels, 1)


def test_mobilenet_v1s_1x1_convolutions_hold_95_percent_of_multiply_adds_and_75_percent_of_parameters() -> None:
    """Table 2 of the paper, both columns.

    It prints 1.19 % of the multiply-adds for the 3×3 convolution, which must be 1.91: its own column then
    sums to 100, and 27·32·112² over 568,740,352 is 1.906 %.
    """
    arch = zoo.find("mobilenet_v1").arch
    mult_adds, weights = by_kind(arch, "macs"), by_kind(arch, "params")
    assert sum(mult_adds.values()) == cost(arch).macs == 568_740_352
    percent = {kind: round(100 * n / sum(mult_adds.values()), 2) for kind, n in mult_adds.items()}
    assert percent == {"1x1": 94.86, "depthwise": 3.06, "3x3": 1.91, "fully connected": 0.18}
    percent = {kind: round(100 * n / sum(weights.values()), 2) for kind, n in weights.items()}
    assert percent == {"1x1": 74.59, "depthwise": 1.06, "3x3": 0.02, "fully connected": 24.33}


@pytest.mark.parametrize(("alpha", "quarters"), [(1.0, 4), (0.75, 3), (0.5, 2), (0.25, 1)])
def test_the_width_multiplier_scales_cost_by_a_alpha_squared_plus_b_alpha(alpha: float, quarters: int) -> None:
    """Exactly: 1×1 convolutions, wide on both sides, with α²; depthwise, stem and classifier, wide on one, with α."""
    a, b = POINTWISE_MACS, DEPTHWISE_MACS + STEM_MACS + CLASSIFIER_MACS
    assert (a, b) == (539_492_352, 29_248_000)
    assert 16 * cost(mobilenet_v1(alpha)).macs == a * quarters**2 + 4 * b * quarters


@pytest.mark.parametrize("alpha", [0.75, 0.5, 0.25])
def test_the_width_multiplier_scales_cost_by_about_its_square(alpha: float) -> None:
    """Off by (1 − α)·α·b / (a + b), so never by more than a quarter of the 5.1 % in b."""
    ratio = cost(mobilenet_v1(alpha)).macs / cost(mobilenet_v1()).macs
    assert alpha**2 < ratio < alpha**2 + 0.013


@pytest.mark.parametrize("alpha", [1.0, 0.75, 0.5, 0.25])
@pytest.mark.parametrize("resolution", [192, 160, 128, 96, 448])
def test_the_resolution_multiplier_scales_cost_by_exactly_its_square(alpha: float, resolution: int) -> None:
    """ρ = resolution / 224 for every multiply-add before the global pool; the classifier behind it stays."""
    full, scaled = mobilenet_v1(alpha, 224), mobilenet_v1(alpha, resolution)
    assert body(scaled) * 224**2 == body(full) * resolution**2
    assert cost(scaled).macs - body(scaled) == cost(full).macs - body(full) == int(1024 * alpha) * 1000
    assert cost(scaled).params == cost(full).params


@given(st.integers(33, 320))
def test_where_sizes_do_not_divide_the_resolution_multiplier_is_a_lower_bound(resolution: int) -> None:
    """Padded convolutions round sizes up; MobileNetV1 halves five times, so 32 must divide the resolution."""
    cost_here, at_32 = body(mobilenet_v1(0.25, resolution)), body(mobilenet_v1(0.25, 32))
    assert (cost_here * 32**2 == at_32 * resolution**2) == (resolution % 32 == 0)
    assert cost_here * 32**2 >= at_32 * resolution**2


# ------------------------------------------------------------------------------- arithmetic: dense blocks

# That a layer really reads every map before it, L(L + 1)/2 in all: test_mechanisms.py.


@given(st.integers(1, 8), st.integers(1, 40), st.integers(1, 100))
def test_layer_l_of_a_dense_block_reads_k0_plus_k_times_l_minus_1_channels(depth: int, k: int, k0: int) -> None:
    """And has the parameters of a bottleneck layer that does: norms, 1×1 to 4k, 3×3 to k."""
    block, shape = Dense(depth, k, transition=False).layer(k0, k0 + depth * k, 1), Shape(k0, 3, 3)
    assert isinstance(block, Chain)
    for number, layer in enumerate(block.layers, 1):
        read = k0 + k * (number - 1)
        assert shape.channels == read
        assert of(layer, *shape).params == 2 * read + read * 4 * k + 2 * 4 * k + 9 * 4 * k * k
        shape = layer.out(shape)
    assert shape.channels == k0 + k * depth


@pytest.mark.parametrize(
    ("name", "widths"),
    [("densenet121", (256, 512, 1024, 1024)), ("densenet169", (256, 512, 1280, 1664))],
)
def test_densenet_grows_by_32_a_layer_and_transitions_halve_the_channels(name: str, widths: tuple[int, ...]) -> None:
    """Table 1 of the paper: from 64 channels on; a 1×1 convolution halves those of each block but the last."""
    found = blocks(zoo.find(name).arch)
    assert found[0][2] == Shape(64, 56, 56)
    for number, ((block, layer, shape), width) in enumerate(zip(found, widths, strict=True), 1):
        assert isinstance(block, Dense)
        assert (block.growth, block.bottleneck, block.kernel) == (32, 4, 3)
        assert shape.channels + 32 * block.layers == width
        assert layer.out(shape).channels == (width if number == 4 else width // 2)


def test_densenets_transition_is_a_1x1_convolution_then_a_2x2_average_pool() -> None:
    """Between two blocks of DenseNet-121: batch norm, ReLU, 1×1, pool, from 56 to 28 pixels."""
    read = of_arch(zoo.find("densenet121").arch)
    pools = [i for i, (leaf, _) in enumerate(read) if isinstance(leaf, AvgPool)]
    assert len(pools) == 3
    for i in pools:
        assert [type(leaf) for leaf, _ in read[i - 3 : i]] == [BatchNorm, Act, Conv]
        pool, shape = read[i]
        assert isinstance(pool, AvgPool)
        assert (pool.kernel, pool.stride, pool.padding) == (2, 2, 0)
        assert pool.out(shape)[1:] == (shape.height // 2, shape.width // 2)
    assert read[pools[0]][1] == Shape(128, 56, 56)


# ---------------------------------------------------------------------- arithmetic: cardinality and scaling

# ResNeXt's three forms with their batch norms, outputs and costs: test_mechanisms.py.


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


ALPHA, BETA, GAMMA = 1.2, 1.1, 1.15


def test_compound_scaling_doubles_cost_with_each_phi() -> None:
    """α·β²·γ² ≈ 2: 1.2·1.1²·1.15² is 1.920, and 1.920^φ after φ steps."""
    for phi in range(1, 8):
        depth, width, resolution = ALPHA**phi, BETA**phi, GAMMA**phi
        assert depth * width**2 * resolution**2 == pytest.approx(1.9203**phi, rel=1e-3)


def tower(depth: int, width: int, resolution: int) -> Arch:
    """`depth` plain 3×3 convolutions of `width` channels."""
    return Arch(resolution, ConvStem(width), (Stage(PlainConv(), width, depth),), PoolHead())


@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))
def test_cost_is_d_w2_r2_where_nothing_needs_rounding(depth: int, d: int, w: int, r: int) -> None:
    """Of a stage of full convolutions, whose width is a multiple of 8."""
    base, large = tower(depth, 16, 8), scale(tower(depth, 16, 8), d, w, r)
    assert str(large) == str(tower(depth * d, 16 * w, 8 * r))
    stage = [sum(row.cost.macs for row in ledger(arch) if row.name.startswith("stage")) for arch in (base, large)]
    assert stage[1] == d * w**2 * r**2 * stage[0]


@pytest.mark.parametrize(
    ("phi", "depth", "realised"), [(1, 23, 2.573), (2, 26, 4.693), (3, 31, 8.426), (4, 39, 16.380)]
)
def test_efficientnet_b0_scaled_by_phi_costs_more_than_1_92_to_the_phi(phi: int, depth: int, realised: float) -> None:
    """What the paper's rounding makes of it. Depths round up, and B0's are 1 to 4: 16 blocks times 1.2 become 23.

    So φ = 1 costs 2.57 times B0 instead of 1.92. From φ = 2 on, each step is near the law again: 1.8 to 1.95.
    """
    b0 = zoo.find("efficientnet_b0").arch
    scaled = scale(b0, ALPHA**phi, BETA**phi, rounding="ceil").at(round(224 * GAMMA**phi))
    assert scaled.depth == depth
    ratio = cost(scaled).macs / cost(b0).macs
    assert ratio == pytest.approx(realised, abs=1e-3)
    assert 1 < ratio / 1.9203**phi < 1.35


# --------------------------------------------------------------------------------- Network in Network


def steps(layer: Layer, shape: Shape) -> Iterator[tuple[Layer, Shape]]:
    """Each part of a chain with what it makes."""
    assert isinstance(layer, Chain)
    for part in layer.layers:
        shape = part.out(shape)
        yield part, shape


def test_network_in_network_is_54_26_26_12_12_5_5_5_and_1_pixels_wide() -> None:
    """Four mlpconvs, the three pools between them, dropout before the last, and the global pool."""
    arch = zoo.find("nin").arch
    assert arch.resolution == 224
    shape = arch.stem.layer(1).out(Shape(1, 224, 224))
    shapes = [shape]
    for _, layer, before in blocks(arch, in_channels=1):
        assert before == shapes[-1]
        shapes.append(layer.out(before))
    head = list(steps(arch.head.layer(384, 10), shapes[-1]))
    dropped = next(out for part, out in head if isinstance(part, Dropout))
    pooled = next(i for i, (part, _) in enumerate(head) if isinstance(part, AdaptivePool))
    shapes += [dropped, head[pooled - 1][1], head[pooled][1]]
    assert [s.height for s in shapes] == [s.width for s in shapes] == [54, 26, 26, 12, 12, 5, 5, 5, 1]
    assert [s.channels for s in shapes] == [96, 96, 256, 256, 384, 384, 384, 10, 10]


def test_network_in_network_has_no_fully_connected_layer() -> None:
    read = [leaf for leaf, _ in of_arch(zoo.find("nin").arch, in_channels=1)]
    assert not any(isinstance(leaf, Linear) for leaf in read)
    assert [leaf.p for leaf in read if isinstance(leaf, Dropout)] == [0.5]


def test_network_in_networks_mlpconvs_are_a_convolution_and_two_1x1_each_with_relu() -> None:
    read = [leaf for leaf, _ in of_arch(zoo.find("nin").arch, in_channels=1)]
    learned = [leaf for leaf in read if isinstance(leaf, Conv)]
    assert [(c.kernel, c.stride, c.pad) for c in learned[::3]] == [(11, 4, 0), (5, 1, 2), (3, 1, 1), (3, 1, 1)]
    assert [c.kernel for i, c in enumerate(learned) if i % 3] == [1] * 8
    assert [c.channels for c in learned] == [96] * 3 + [256] * 3 + [384] * 3 + [1000] * 3
    for here, after in pairwise(read):
        assert not isinstance(here, Conv) or after == Act("relu")


def test_network_in_networks_dropout_stands_before_the_last_mlpconv() -> None:
    read = [type(leaf).__name__ for leaf, _ in of_arch(zoo.find("nin").arch, in_channels=1)]
    assert read[-10:] == ["MaxPool", "Dropout", *["Conv", "Act"] * 3, "AdaptivePool", "Flatten"]
    assert [leaf for leaf, _ in of_arch(zoo.find("nin").arch, 1) if isinstance(leaf, MaxPool)] == [MaxPool(3, 2, 0)] * 3


def test_network_in_networks_parameters_by_hand() -> None:
    """k·k·in·out + out, then out² + out twice."""

    def mlpconv(m: int, n: int, k: int) -> int:
        return k * k * m * n + n + 2 * (n * n + n)

    by_hand = mlpconv(1, 96, 11) + mlpconv(96, 256, 5) + mlpconv(256, 384, 3) + mlpconv(384, 1000, 3)
    assert zoo.find("nin").cost.params == by_hand == 7_416_376


# ------------------------------------------------------------------------------------------- GoogLeNet

# Table 1 of the paper: output size, the six widths, parameters in thousands and operations in millions.
SZEGEDY = {
    "3a": ((256, 28), (64, 96, 128, 16, 32, 32), 159, 128),
    "3b": ((480, 28), (128, 128, 192, 32, 96, 64), 380, 304),
    "4a": ((512, 14), (192, 96, 208, 16, 48, 64), 364, 73),
    "4b": ((512, 14), (160, 112, 224, 24, 64, 64), 437, 88),
    "4c": ((512, 14), (128, 128, 256, 24, 64, 64), 463, 100),
    "4d": ((528, 14), (112, 144, 288, 32, 64, 64), 580, 119),
    "4e": ((832, 14), (256, 160, 320, 32, 128, 128), 840, 170),
    "5a": ((832, 7), (256, 160, 320, 32, 128, 128), 1072, 54),
    "5b": ((1024, 7), (384, 192, 384, 48, 128, 128), 1388, 71),
}
READ = {"3a": 192, "3b": 256, "4a": 480, "4b": 512, "4c": 512, "4d": 512, "4e": 528, "5a": 832, "5b": 832}
# What the printed widths really have, in units of 1024 weights without biases.
WEIGHTS = dict(zip(SZEGEDY, (159.5, 379.0, 366.75, 438.0, 497.5, 590.5, 847.0, 1018.0, 1409.0), strict=True))


@lru_cache(maxsize=1)
def googlenet() -> dict[str, Row]:
    """The ledger's rows under the table's names; pools are left out."""
    rows = [row for row in ledger(zoo.find("googlenet").arch) if "max_pool" not in row.text]
    return dict(zip(("conv1", "reduce2", "conv2", *SZEGEDY, "linear"), rows, strict=True))


def test_the_rows_of_googlenets_table_have_its_output_sizes() -> None:
    arch, shape = zoo.find("googlenet").arch, Shape(3, 224, 224)
    outputs = [row.output for row in ledger(arch)]
    assert outputs[:5] == [(64, 112, 112), (64, 56, 56), (64, 56, 56), (192, 56, 56), (192, 28, 28)]
    assert outputs[7] == (480, 14, 14)
    assert outputs[13] == (832, 7, 7)
    for name, ((channels, size), _, _, _) in SZEGEDY.items():
        assert googlenet()[name].input == (READ[name], size, size)
        assert googlenet()[name].output == (channels, size, size)
    pools = [(before, leaf.out(before)) for leaf, before in leaves(arch.layer(), shape) if isinstance(leaf, MaxPool)]
    assert [(a.height, b.height) for a, b in pools if a != b] == [(112, 56), (56, 28), (28, 14), (14, 7)]
    assert next(leaf for leaf, _ in of_arch(arch) if isinstance(leaf, AdaptivePool)) == AdaptivePool(1)


@pytest.mark.parametrize("name", SZEGEDY)
def test_an_inception_module_of_googlenet_has_the_weights_of_its_printed_widths(name: str) -> None:
    """Branch by branch by hand; the paper's K is 1024 and leaves out biases, of which there is one a filter.

    Of the printed column only 3a is reached: 159.5. The other figures do not follow from the widths
    printed beside them, by up to 7 % either way (4c and 5a); they contradict the table's own operations
    too, which are weights times pixels (4c: 463·1024·14² is 93M where 100M is printed).
    """
    one, reduce3, three, reduce5, five, pooled = SZEGEDY[name][1]
    m = READ[name]
    by_hand = m * (one + reduce3 + reduce5 + pooled) + 9 * reduce3 * three + 25 * reduce5 * five
    biases = one + reduce3 + three + reduce5 + five + pooled
    assert googlenet()[name].cost.params == by_hand + biases
    assert by_hand == WEIGHTS[name] * 1024
    assert SZEGEDY[name][2] == pytest.approx(WEIGHTS[name], rel=0.075)
    assert (abs(SZEGEDY[name][2] - WEIGHTS[name]) < 1) == (name == "3a")


@pytest.mark.parametrize("name", [name for name in SZEGEDY if name != "5a"])
def test_an_inception_module_of_googlenet_takes_the_printed_operations(name: str) -> None:
    """In millions, to the last digit, rounded or cut off."""
    (_, size), _, _, printed = SZEGEDY[name]
    assert googlenet()[name].cost.macs == WEIGHTS[name] * 1024 * size**2
    assert abs(googlenet()[name].cost.macs / 1e6 - printed) < 1


def test_googlenets_5a_takes_51_million_operations_where_54_is_printed() -> None:
    """The row agrees with itself (1072·1024·7² is 53.8M) and not with its widths, which are those of 4e."""
    assert round(1072 * 1024 * 49 / 1e6) == SZEGEDY["5a"][3] == 54
    assert SZEGEDY["5a"][1] == SZEGEDY["4e"][1]
    assert googlenet()["5a"].cost.macs == 1018 * 1024 * 49 == 51_079_168


def test_googlenets_3x3_row_has_112k_parameters_and_360m_operations() -> None:
    """1×1 to 64 and 3×3 to 192 make 112·1024 weights exactly."""
    both = googlenet()["reduce2"].cost + googlenet()["conv2"].cost
    assert both.params - (64 + 192) == 112 * 1024
    assert both.macs == 112 * 1024 * 56**2
    assert round(both.macs / 1e6) == 360


def test_googlenets_linear_row_has_1000k_parameters_and_1m_operations() -> None:
    linear = googlenet()["linear"].cost
    assert linear.params - 1000 == 1000 * 1024
    assert linear.macs == 1_024_000


def test_googlenets_7x7_row_is_that_of_a_separable_convolution() -> None:
    """2.7K parameters and 34M operations are printed; a full 7×7 convolution to 64 channels has 9,408 and 118M.

    Both figures are exact for 8 depthwise filters a colour, then 1×1 to 64: 2,712 weights at 112² pixels.
    The zoo has the full one, as the row's words say (7×7, stride 2) and later implementations do.
    """
    first = googlenet()["conv1"].cost
    assert first.params - 64 == 7 * 7 * 3 * 64 == 9_408
    assert first.macs == 9_408 * 112**2 == 118_013_952
    separable = of(chain(Conv(24, 7, stride=2, groups=3), Conv(64)), 3, 224, 224)
    assert separable.params == 49 * 24 + 24 * 64 == 2_712
    assert round(separable.macs / 1e6) == 34


def test_googlenet_is_22_layers_deep() -> None:
    """Layers with parameters on the longest way through; 27 with pools, as the paper says."""
    assert longest(zoo.find("googlenet").arch.layer(), (Conv, Linear)) == 22
    assert longest(zoo.find("googlenet").arch.layer(), (Conv, Linear), (MaxPool, AdaptivePool)) == 27


def longest(layer: Layer, counted: tuple[type[Layer], ...], between: tuple[type[Layer], ...] = ()) -> int:
    """Leaves of these kinds on the longest way; `between` counts where it stands in the trunk alone."""
    if isinstance(layer, Chain):
        return sum(longest(part, counted, between) for part in layer.layers)
    if isinstance(layer, Combinator):
        return max(longest(part, counted) for part in layer.layers)
    return int(isinstance(layer, counted + between))


def test_googlenets_auxiliary_classifiers_follow_4a_and_4d_and_weigh_0_3() -> None:
    inceptions = [stage for stage in zoo.find("googlenet").arch.stages if isinstance(stage.block, Inception)]
    beside = {name: stage.aux for name, stage in zip(SZEGEDY, inceptions, strict=True) if stage.aux}
    assert list(beside) == ["4a", "4d"]
    assert [aux.weight for aux in beside.values()] == [0.3, 0.3]


@pytest.mark.parametrize("channels", [512, 528])
def test_an_auxiliary_classifier_has_the_papers_layers(channels: int) -> None:
    """Section 5: pooled to 4×4, 128 of 1×1, 1024 units, 70 % dropout, 1000 classes."""
    layer, shape = AuxHead().layer(channels, 1000), Shape(channels, 14, 14)
    assert next(out for _, out in steps(layer, shape)) == Shape(channels, 4, 4)
    learned = [leaf for leaf in unshaped(layer) if isinstance(leaf, (Conv, Linear, Dropout))]
    assert learned == [Conv(128, bias=True), Linear(1024), Dropout(0.7), Linear(1000)]
    by_hand = (channels + 1) * 128 + (128 * 16 + 1) * 1024 + 1025 * 1000
    assert of(layer, *shape).params == by_hand


def test_googlenets_auxiliary_classifiers_are_not_in_its_cost() -> None:
    network = zoo.find("googlenet")
    without = replace(network.arch, stages=tuple(replace(stage, aux=None) for stage in network.arch.stages))
    assert str(without) != str(network.arch)
    assert cost(without) == network.cost
    assert network.arch.layer() == without.layer()


# ------------------------------------------------------------------------------------------- SqueezeNet


def fires(name: str) -> dict[str, tuple[Layer, Shape]]:
    """The fire modules of a SqueezeNet, fire2 to fire9, with what they read."""
    read = blocks(zoo.find(name).arch)
    found = [(layer, shape) for block, layer, shape in read if isinstance(block, Fire)]
    return {f"fire{i}": pair for i, pair in enumerate(found, 2)}


def test_the_rows_of_squeezenets_table_have_its_parameters() -> None:
    """Table 1 of the paper, "before pruning"."""
    printed = (11_920, 12_432, 45_344, 49_440, 104_880, 111_024, 188_992, 197_184)
    assert [of(layer, *shape).params for layer, shape in fires("squeezenet1_0").values()] == list(printed)
    rows = ledger(zoo.find("squeezenet1_0").arch)
    assert (rows[0].cost.params, rows[-1].cost.params) == (14_208, 513_000)
    assert zoo.find("squeezenet1_0").cost.params == 1_248_424


def test_the_rows_of_squeezenets_table_have_its_output_sizes() -> None:
    """111, 55, 27 and 13 pixels come of 227×227 images; the table's 224 leave 109, 54, 27, 13."""
    for resolution, sizes in ((227, (111, 55, 27, 13)), (224, (109, 54, 27, 13))):
        rows = ledger(zoo.find("squeezenet1_0").arch.at(resolution))[:-1]
        assert tuple(dict.fromkeys(row.output.height for row in rows)) == sizes


def test_squeezenets_simple_bypass_adds_the_input_of_fire_3_5_7_and_9() -> None:
    """Where a module has as many channels in as out; it costs nothing."""
    added = {name: layer for name, (layer, _) in fires("squeezenet1_0_simple").items() if isinstance(layer, Add)}
    assert list(added) == ["fire3", "fire5", "fire7", "fire9"]
    assert all(Identity() in layer.layers for layer in added.values())
    assert zoo.find("squeezenet1_0_simple").cost.params == zoo.find("squeezenet1_0").cost.params
    assert zoo.find("squeezenet1_0_simple").cost.macs == zoo.find("squeezenet1_0").cost.macs


def test_squeezenets_complex_bypass_has_1x1_convolutions_at_fire_2_4_6_and_8() -> None:
    bypasses = {name: layer.layers[0] for name, (layer, _) in fires("squeezenet1_0_complex").items()}  # type: ignore[attr-defined]
    convolutions = {name: layer for name, layer in bypasses.items() if layer != Identity()}
    assert list(convolutions) == ["fire2", "fire4", "fire6", "fire8"]
    assert [layer.channels for layer in convolutions.values()] == [128, 256, 384, 512]
    assert {layer.kernel for layer in convolutions.values()} == {1}
    more = 96 * 128 + 128 + 128 * 256 + 256 + 256 * 384 + 384 + 384 * 512 + 512
    assert zoo.find("squeezenet1_0_complex").cost.params == 1_248_424 + more


def test_plain_squeezenets_have_no_bypass() -> None:
    for name in ("squeezenet1_0", "squeezenet1_1"):
        assert not any(isinstance(layer, Add) for layer, _ in fires(name).values())


@pytest.mark.parametrize("name", ["squeezenet1_0", "squeezenet1_1"])
def test_squeezenets_max_pools_round_up(name: str) -> None:
    pools = [leaf for leaf, _ in of_arch(zoo.find(name).arch) if isinstance(leaf, MaxPool)]
    assert pools == [MaxPool(3, 2, 0, ceil=True)] * 3
    assert pools[0].out(Shape(96, 110, 110)) == Shape(96, 55, 55)
    assert MaxPool(3, 2, 0).out(Shape(96, 110, 110)) == Shape(96, 54, 54)


# ------------------------------------------------------------------------ MobileNetV2 and EfficientNet

# One block's order: test_blocks.py. Whole networks against torchvision: test_zoo.py.


def path(layer: Layer) -> Layer:
    """An inverted residual without its shortcut."""
    return layer.layers[1] if isinstance(layer, Add) else layer


def test_every_bottleneck_of_mobilenet_v2_is_linear() -> None:
    """No activation between a projection's batch norm and the next block's expansion; ReLU6 elsewhere."""
    found = blocks(zoo.find("mobilenet_v2").arch)
    assert len(found) == 17
    for _, layer, _ in found:
        *_, projection, norm = unshaped(layer)
        assert isinstance(projection, Conv)
        assert projection.kernel == 1
        assert isinstance(norm, BatchNorm)
    activations = [leaf for leaf, _ in of_arch(zoo.find("mobilenet_v2").arch) if isinstance(leaf, Act)]
    assert activations == [Act("relu6")] * (2 * 17 + 1)  # one of the 17 does not expand; stem and head have one each


def test_mobilenet_v2s_bottleneck_expands_by_t_and_projects() -> None:
    """Table 1 of the paper, h·w·k → h·w·tk → h/s·w/s·tk → h/s·w/s·k', and its h·w·k·t·(k + d² + k') multiply-adds."""
    for t, k, out, s, size in ((6, 24, 24, 1, 56), (6, 16, 24, 2, 112), (4, 10, 7, 1, 9)):
        layer = InvertedResidual(expand=t).layer(k, out, s)
        learned = [(leaf, shape) for leaf, shape in leaves(path(layer), Shape(k, size, size)) if isinstance(leaf, Conv)]
        assert [leaf.out(shape) for leaf, shape in learned] == [
            Shape(t * k, size, size),
            Shape(t * k, size // s, size // s),
            Shape(out, size // s, size // s),
        ]
        assert [leaf.groups for leaf, _ in learned] == [1, t * k, 1]
        if s == 1:
            assert macs(layer, k, size, size) == size * size * k * t * (k + 9 + out)


def test_mobilenet_v2_expands_by_1_once_and_by_6_sixteen_times() -> None:
    """Table 2 of the paper: depthwise channels over the block's."""
    expansions = []
    for _, layer, shape in blocks(zoo.find("mobilenet_v2").arch):
        (depthwise,) = (leaf for leaf in unshaped(layer) if isinstance(leaf, Conv) and leaf.groups > 1)
        expansions.append(depthwise.groups / shape.channels)
    assert expansions == [1] + [6] * 16


def test_mobilenet_v2_adds_its_input_where_stride_and_channels_allow() -> None:
    """Ten of the seventeen: each row of table 2 but its first block."""
    found = blocks(zoo.find("mobilenet_v2").arch)
    added = [isinstance(layer, Add) for _, layer, _ in found]
    assert added == [layer.out(shape) == shape for _, layer, shape in found]
    assert sum(added) == 10


def test_efficientnets_squeeze_excitation_gates_hidden_channels_through_a_quarter_of_the_input() -> None:
    found = blocks(zoo.find("efficientnet_b0").arch)
    assert len(found) == 16
    for _, layer, shape in found:
        (gated,) = [part for part in path(layer).layers if isinstance(part, Multiply)]  # type: ignore[attr-defined]
        pool, reduce, act, expand, sigmoid = unshaped(gated.layers[1])
        hidden = shape.channels * (1 if shape.channels == 32 else 6)
        assert gated.layers[0] == Identity()
        assert (pool, act, sigmoid) == (AdaptivePool(1), Act("silu"), Act("sigmoid"))
        assert (reduce, expand) == (Conv(shape.channels // 4, bias=True), Conv(hidden, bias=True))


def test_efficientnet_has_silu_throughout_and_linear_bottlenecks() -> None:
    kinds_of_act = {leaf.kind for leaf, _ in of_arch(zoo.find("efficientnet_b0").arch) if isinstance(leaf, Act)}
    assert kinds_of_act == {"silu", "sigmoid"}
    assert all(isinstance(unshaped(layer)[-1], BatchNorm) for _, layer, _ in blocks(zoo.find("efficientnet_b0").arch))


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


# --------------------------------------------------------------------- Xception's order, ResNet's bottleneck


# The order of their layers: test_blocks.py; their outputs: test_mechanisms.py.
@pytest.mark.parametrize("block", [DepthwiseSeparable(between=False), Bottleneck()], ids=str)
def test_xceptions_order_and_resnets_bottleneck_are_searchable(block: Block) -> None:
    """In a space of one's own, and in `mixed`; sampled, counted and read back."""
    mine = Space("mine", Arch(32, ConvStem(16), (Stage(OneOf(block, Fire()), OneOf(16, 32), 2, 2),), PoolHead()))
    drawn = {mine.sample(Random(seed)) for seed in range(40)}
    chosen = {arch for arch in drawn if arch.stages[0].block == block}
    assert {arch.stages[0].width for arch in chosen} == {16, 32}
    assert all(Arch.parse(str(arch)) == arch and cost(arch).macs > 0 for arch in chosen)
    mixed = (find("mixed").sample(Random(seed)) for seed in range(200))
    assert any(stage.block == block for arch in mixed for stage in arch.stages)


SEARCHED = {
    "nin": "mlpconv",
    "inception": "inception",
    "squeeze": "fire",
    "mobile": "inverted_residual",
    "grouped": "resnext",
    "shuffle": "shuffle_unit",
    "dense": "dense",
    "mixed": "depthwise_separable",
}


@pytest.mark.parametrize(("space", "label"), SEARCHED.items())
def test_every_systems_block_is_searchable(space: str, label: str) -> None:
    assert any(stage.block.label == label for seed in range(30) for stage in find(space).sample(Random(seed)).stages)


# ------------------------------------------------------------------------------------------- SPP-net


def pyramid(head: SppHead, shape: Shape) -> Shape:
    """The vector between the pyramid and the first linear layer."""
    layer = head.layer(shape.channels, 10)
    assert isinstance(layer, Chain)
    return layer.layers[layer.names.index("pyramid")].out(shape)


@given(SIZES, SIZES)
def test_bins_4_2_and_1_on_256_channels_make_21_times_256_features_of_any_size(height: int, width: int) -> None:
    assert pyramid(SppHead(bins=(4, 2, 1)), Shape(256, height, width)) == Shape(21 * 256, 1, 1)


@given(CHANNELS, SIZES, SIZES)
def test_the_usual_bins_1_2_3_and_6_make_50_features_a_channel(channels: int, height: int, width: int) -> None:
    assert SppHead().bins == (1, 2, 3, 6)
    assert pyramid(SppHead(), Shape(channels, height, width)) == Shape(50 * channels, 1, 1)


@given(SIZES, SIZES)
def test_a_pyramids_classifier_has_the_same_parameters_at_any_size(height: int, width: int) -> None:
    """SPP-net's two hidden layers of 4096 on 256 channels: 12,800 features, whatever the image's size."""
    read = of(SppHead(depth=2).layer(256, 1000), 256, height, width)
    assert read.params == 12_800 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 1000 + 1000
    assert read.macs == 12_800 * 4096 + 4096 * 4096 + 4096 * 1000


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet50", "densenet121", "shufflenet_g3", "squeezenet1_1"])
@pytest.mark.parametrize("resolution", [97, 160, 224])
def test_any_backbone_can_have_a_pyramid_head(name: str, resolution: int) -> None:
    arch = replace(zoo.find(name).arch, head=SppHead(bins=(4, 2, 1)), resolution=resolution)
    before = ledger(arch)[-1].input
    assert Arch.parse(str(arch)) == arch
    assert ledger(arch)[-1].cost.params == 21 * before.channels * 1000 + 1000


# --------------------------------------------- global average pooling against fully connected layers


def test_vggs_fully_connected_layers_have_123642856_parameters() -> None:
    """Layer by layer, on 512 channels of 7×7."""
    by_hand = (512 * 7 * 7 + 1) * 4096 + 4097 * 4096 + 4097 * 1000
    assert of(FcHead().layer(512, 1000), 512, 7, 7).params == by_hand == 123_642_856
    assert of(FcHead().layer(512, 1000), 512, 7, 7).macs == 25_088 * 4096 + 4096 * 4096 + 4096 * 1000


def test_global_average_pooling_on_the_same_map_leaves_513000() -> None:
    """512·1000 + 1000, as a linear layer behind the pool or as a 1×1 convolution before it: 241 times fewer."""
    pooled, convolved = (of(head.layer(512, 1000), 512, 7, 7) for head in (PoolHead(), ConvHead()))
    assert pooled.params == convolved.params == 513_000
    assert pooled.macs == 512_000
    assert convolved.macs == 49 * 512_000
    assert 123_642_856 // 513_000 == 241


@given(CHANNELS, st.integers(2, 1000), st.integers(1, 20))
def test_global_average_pooling_has_size_squared_fewer_weights_than_one_fully_connected_layer(
    channels: int, classes: int, size: int
) -> None:
    flat = of(FcHead(size=size, depth=0).layer(channels, classes), channels, size, size).params - classes
    pooled = of(PoolHead().layer(channels, classes), channels, size, size).params - classes
    assert flat == size**2 * pooled == size**2 * channels * classes


# The Fast R-CNN row (RoI pooling, IoU, NMS, boxes worked by hand): tests/nas/test_detection.py.
