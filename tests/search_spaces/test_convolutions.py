"""Convolutions as numbers: 1×1, depthwise separable and strided ones, in shapes, multiply-adds and parameters."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from search_spaces.blocks.depthwise_separable import DepthwiseSeparable
from search_spaces.blocks.inception import Inception
from search_spaces.layers import Concat, Conv, Linear, MaxPool, Shape, chain, concat
from tests.search_spaces.systems import CHANNELS, SIZES, leaves, macs, of

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


# The naive 5×5 (120,422,400) and its bottleneck (2,408,448 + 10,035,200) as bare layers: test_block_papers.py.


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

# 1/N + 1/k² as a property over sizes: test_block_papers.py.


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
