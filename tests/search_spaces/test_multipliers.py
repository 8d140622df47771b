"""MobileNetV1 by its table, and what its multipliers and EfficientNet's compound scaling make of a network's cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces import zoo
from search_spaces.arch import Arch, Stage
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.plain_conv import PlainConv
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.cost import cost, ledger
from search_spaces.layers import Conv, Linear
from search_spaces.scaling import scale
from search_spaces.zoo.mobilenet_v1 import mobilenet_v1
from tests.search_spaces.systems import blocks, kinds, of, of_arch, unshaped

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


# ---------------------------------------------------------------------- arithmetic: compound scaling

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
