"""Arithmetic and mechanisms of the papers that blocks are from."""

import re
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nas.build import module
from search_spaces.arch import Arch
from search_spaces.blocks.bottleneck import Bottleneck
from search_spaces.blocks.conv_head import ConvHead
from search_spaces.blocks.dense import Dense
from search_spaces.blocks.depthwise_separable import DepthwiseSeparable
from search_spaces.blocks.fire import Fire
from search_spaces.blocks.inception import Inception
from search_spaces.blocks.inverted_residual import InvertedResidual
from search_spaces.blocks.mlpconv import Mlpconv
from search_spaces.blocks.resnext import Resnext
from search_spaces.blocks.shuffle_unit import ShuffleUnit
from search_spaces.blocks.skip import Skip
from search_spaces.cost import cost, layer_cost, ledger
from search_spaces.errors import ArchError
from search_spaces.layers import (
    Act,
    Add,
    AvgPool,
    Chain,
    Combinator,
    Concat,
    Conv,
    Identity,
    Layer,
    MaxPool,
    Shape,
    add,
    chain,
    concat,
)


def macs(layer: Layer, *shape: int) -> int:
    return layer_cost(layer, Shape(*shape))[1].macs


def leaves(layer: Layer) -> list[Layer]:
    """Every leaf, in order of execution."""
    return [leaf for part in layer.layers for leaf in leaves(part)] if isinstance(layer, Combinator) else [layer]


def kinds(layer: Layer) -> str:
    """The kinds of the leaves, in order: 'Conv BatchNorm Act'."""
    return " ".join(type(leaf).__name__ for leaf in leaves(layer))


# --------------------------------------------------------------------- arithmetic of the papers


def test_a_pointwise_convolution_changes_channels_and_nothing_else() -> None:
    assert Conv(32).out(Shape(192, 28, 28)) == Shape(32, 28, 28)


def test_a_pointwise_convolution_is_a_linear_layer_at_each_pixel() -> None:
    shape = Shape(6, 3, 4)
    image = torch.randn(1, *shape)
    convolution, linear = module(Conv(5, bias=True), shape), nn.Linear(6, 5)
    linear.weight.data = convolution.weight.data.flatten(1)
    linear.bias.data = convolution.bias.data
    assert torch.allclose(convolution(image), linear(image.movedim(1, -1)).movedim(-1, 1), atol=1e-6)


def test_inceptions_bottleneck_saves_nine_tenths() -> None:
    assert macs(Conv(32, 5), 192, 28, 28) == 120_422_400
    assert macs(Conv(16), 192, 28, 28) == 2_408_448
    assert macs(Conv(32, 5), 16, 28, 28) == 10_035_200
    assert macs(chain(Conv(16), Conv(32, 5)), 192, 28, 28) == 12_443_648


def test_the_naive_inception_module_concatenates_to_256_channels() -> None:
    pooled = chain(MaxPool(3, 1, 1), Conv(32))
    assert concat(Conv(64), Conv(128, 3), Conv(32, 5), pooled).out(Shape(192, 28, 28)) == Shape(256, 28, 28)
    paper = Inception(widths=(64, 96, 128, 16, 32, 32), norm=False)  # GoogLeNet's 3a
    assert paper.layer(192, 256, 1).out(Shape(192, 28, 28)) == Shape(256, 28, 28)


def test_a_depthwise_separable_convolution_by_hand() -> None:
    depthwise, pointwise = Conv(3, 3, groups=3, padding=0), Conv(5)
    assert macs(Conv(5, 3, padding=0), 3, 6, 6) == 2160
    assert macs(depthwise, 3, 6, 6) == 432
    assert macs(pointwise, 3, 4, 4) == 240
    assert macs(chain(depthwise, pointwise), 3, 6, 6) == 672


@given(st.integers(1, 64), st.integers(1, 256), st.sampled_from((1, 3, 5, 7)), st.integers(1, 20))
def test_separable_over_standard_is_1_over_n_plus_1_over_k_squared(m: int, n: int, k: int, size: int) -> None:
    separable = macs(DepthwiseSeparable(kernel=k).layer(m, n, 1), m, size, size)
    standard = macs(Conv(n, k), m, size, size)
    assert Fraction(separable, standard) == Fraction(1, n) + Fraction(1, k * k)


MOBILENET_V1 = (
    "r224 | conv_stem(width=32) | depthwise_separable c64 | depthwise_separable c128 n2 s2 | "
    "depthwise_separable c256 n2 s2 | depthwise_separable c512 n6 s2 | depthwise_separable c1024 n2 s2 | pool_head"
)


def test_mobilenet_v1_lives_in_its_pointwise_convolutions() -> None:
    """Table 2 of the paper: 94.86 % of the multiply-adds, 74.59 % of the parameters."""
    arch, total = Arch.parse(MOBILENET_V1), cost(Arch.parse(MOBILENET_V1))
    assert total.params == 4_231_976
    assert round(total.macs / 1e6) == 569
    shape, pointwise_macs, pointwise_params = Shape(3, 224, 224), 0, 0
    for leaf in leaves(arch.layer()):
        after, its_cost = layer_cost(leaf, shape)
        if isinstance(leaf, Conv) and leaf.kernel == 1:
            pointwise_macs += its_cost.macs
            pointwise_params += its_cost.params
        shape = after
    assert pointwise_macs / total.macs == pytest.approx(0.9486, abs=5e-4)
    assert pointwise_params / total.params == pytest.approx(0.7459, abs=5e-3)


def test_resolution_multiplier_scales_exactly_by_its_square() -> None:
    def convolutions(resolution: int) -> int:
        rows = ledger(Arch.parse(MOBILENET_V1).at(resolution))
        return sum(row.cost.macs for row in rows if row.name != "head")

    assert convolutions(256) == 4 * convolutions(128)
    assert convolutions(192) * 49 == convolutions(224) * 36


def test_width_multiplier_scales_by_about_its_square() -> None:
    half = re.sub(r"(c|width=)(\d+)", lambda found: f"{found[1]}{int(found[2]) // 2}", MOBILENET_V1)
    ratio = cost(Arch.parse(half)).macs / cost(Arch.parse(MOBILENET_V1)).macs
    assert ratio == pytest.approx(0.25, abs=0.02)


# ------------------------------------------------------------------------- mechanisms of the papers


@pytest.mark.parametrize(("depth", "growth"), [(1, 12), (4, 32), (6, 16)])
def test_a_dense_block_connects_every_layer_to_every_later_one(depth: int, growth: int) -> None:
    k0 = 64
    block = Dense(layers=depth, growth=growth).layer(k0, 128, 1)
    assert isinstance(block, Chain)
    shape, maps, connections = Shape(k0, 8, 8), 1, 0
    for i, layer in enumerate(block.layers[:-1], 1):
        assert shape.channels == k0 + growth * (i - 1)
        assert isinstance(layer, Concat)
        assert layer.layers[0] == Identity()
        connections += maps  # it reads every map so far …
        maps += len(layer.layers) - 1  # … and adds its own
        shape = layer.out(shape)
    assert connections == depth * (depth + 1) // 2
    assert block.names[-1] == "transition"
    assert shape.channels == k0 + growth * depth


def test_a_dense_layer_has_densenets_order_and_bottleneck() -> None:
    layer = Dense(layers=1, growth=12).layer(24, 36, 1)
    assert kinds(layer) == "Identity BatchNorm Act Conv BatchNorm Act Conv BatchNorm Act Conv"
    convolutions = [leaf for leaf in leaves(layer) if isinstance(leaf, Conv)]
    assert [(c.channels, c.kernel) for c in convolutions] == [(48, 1), (12, 3), (36, 1)]


def test_a_dense_block_without_transition_says_which_width_it_has() -> None:
    block = Dense(layers=2, growth=8, transition=False)
    assert block.layer(16, 32, 1).out(Shape(16, 4, 4)) == Shape(32, 4, 4)
    with pytest.raises(ArchError, match="grown 32 channels"):
        block.layer(16, 24, 1)


CARDINALITY, WIDTH, CHANNELS = 4, 3, 16


def three_forms() -> dict[str, Layer]:
    """ResNeXt's block: paths summed, paths concatenated and mixed, one grouped convolution (figure 3)."""

    def path() -> Chain:
        return chain(Conv(WIDTH), Act(), Conv(WIDTH, 3), Act())

    inner = CARDINALITY * WIDTH
    forms = {
        "summed": add(*(chain(path(), Conv(CHANNELS)) for _ in range(CARDINALITY))),
        "concatenated": chain(concat(*(path() for _ in range(CARDINALITY))), Conv(CHANNELS)),
        "grouped": chain(Conv(inner), Act(), Conv(inner, 3, groups=CARDINALITY), Act(), Conv(CHANNELS)),
    }
    return {name: chain(add(Identity(), form), Act()) for name, form in forms.items()}


def share_weights(networks: dict[str, nn.Module]) -> None:
    """Give the two forms with paths the slices of the grouped form's weights."""
    reduce, grouped, expand = (p.data for p in networks["grouped"].parameters())
    summed = list(networks["summed"].parameters())
    concatenated = list(networks["concatenated"].parameters())
    for i in range(CARDINALITY):
        rows = slice(i * WIDTH, (i + 1) * WIDTH)
        summed[3 * i].data, summed[3 * i + 1].data, summed[3 * i + 2].data = (
            reduce[rows],
            grouped[rows],
            expand[:, rows],
        )
        concatenated[2 * i].data, concatenated[2 * i + 1].data = reduce[rows], grouped[rows]
    concatenated[-1].data = expand


def test_resnexts_three_forms_are_one_function_at_one_cost() -> None:
    shape = Shape(CHANNELS, 6, 5)
    forms = three_forms()
    costs = {name: layer_cost(form, shape)[1] for name, form in forms.items()}
    assert len({(c.flops, c.macs, c.params) for c in costs.values()}) == 1
    networks = {name: module(form, shape) for name, form in forms.items()}
    share_weights(networks)
    image = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    expected = networks["grouped"](image.clone())
    for network in networks.values():
        assert torch.allclose(network(image.clone()), expected, atol=1e-5)
    block = Resnext(cardinality=CARDINALITY, ratio=CARDINALITY * WIDTH / CHANNELS).layer(CHANNELS, CHANNELS, 1)
    assert macs(block, *shape) == costs["grouped"].macs


def test_resnext_with_one_path_is_a_bottleneck() -> None:
    shape = Shape(32, 8, 8)
    grouped, plain = Resnext(cardinality=1, ratio=0.25).layer(32, 64, 2), Bottleneck().layer(32, 64, 2)
    assert layer_cost(grouped, shape) == layer_cost(plain, shape)


def test_a_bottleneck_strides_in_its_middle_convolution() -> None:
    strides = [(leaf.kernel, leaf.stride) for leaf in leaves(Bottleneck().layer(16, 32, 2)) if isinstance(leaf, Conv)]
    assert strides == [(1, 1), (3, 2), (1, 1), (1, 2)]


def test_mobilenet_v2s_bottleneck_is_linear() -> None:
    block = InvertedResidual().layer(16, 16, 1)
    assert isinstance(block, Add)
    assert kinds(block) == "Identity Conv BatchNorm Act Conv BatchNorm Act Conv BatchNorm"
    hidden = [leaf.channels for leaf in leaves(block) if isinstance(leaf, Conv)]
    assert hidden == [96, 96, 16]
    assert InvertedResidual(expand=1).layer(16, 24, 1).names == ("depthwise", "project")


def test_the_shortcut_joins_bottlenecks_of_equal_shape_only() -> None:
    assert not isinstance(InvertedResidual().layer(16, 24, 1), Add)
    assert not isinstance(InvertedResidual().layer(16, 16, 2), Add)


def test_squeeze_excitation_is_as_wide_as_efficientnets() -> None:
    block = InvertedResidual(se=0.25, act="silu").layer(24, 40, 2)
    convolutions = [leaf.channels for leaf in leaves(block) if isinstance(leaf, Conv)]
    assert convolutions == [144, 144, 6, 144, 40]  # a quarter of the block's input, not of the hidden channels


def test_xceptions_order_leaves_out_the_activation_between() -> None:
    assert kinds(DepthwiseSeparable().layer(8, 8, 1)) == "Conv BatchNorm Act Conv BatchNorm Act"
    assert kinds(DepthwiseSeparable(between=False).layer(8, 8, 1)) == "Conv BatchNorm Conv BatchNorm Act"


def test_shufflenets_unit_has_no_activation_after_the_depthwise_convolution() -> None:
    unit = ShuffleUnit(groups=4).layer(32, 32, 1)
    assert kinds(unit) == "Identity Conv BatchNorm Act Shuffle Conv BatchNorm Conv BatchNorm Act"


def test_a_strided_shufflenet_unit_concatenates_its_pooled_input() -> None:
    unit = ShuffleUnit(groups=3).layer(24, 240, 2)
    assert isinstance(unit, Chain)
    joined = unit.layers[0]
    assert isinstance(joined, Concat)
    assert joined.layers[0] == AvgPool(3, 2, 1)
    assert joined.layers[1].out(Shape(24, 8, 8)) == Shape(216, 4, 4)


@pytest.mark.parametrize(
    ("bypass", "in_channels", "added"),
    [("none", 32, False), ("simple", 32, True), ("simple", 16, False), ("complex", 32, True), ("complex", 16, True)],
)
def test_a_fire_module_is_bypassed_where_shapes_allow(bypass: str, in_channels: int, added: bool) -> None:
    layer = Fire(bypass=bypass).layer(in_channels, 32, 1)
    assert isinstance(layer, Add) == added
    if added:
        first = layer.layers[0]  # type: ignore[attr-defined]
        assert first == (Identity() if in_channels == 32 else Conv(32, bias=True))


def test_a_fire_module_squeezes_and_expands() -> None:
    convolutions = [leaf for leaf in leaves(Fire().layer(96, 128, 1)) if isinstance(leaf, Conv)]
    assert [(c.channels, c.kernel) for c in convolutions] == [(16, 1), (64, 1), (64, 3)]


def test_an_mlpconv_is_a_convolution_and_two_pointwise_ones() -> None:
    layer = Mlpconv(kernel=5, norm=False).layer(96, 256, 1)
    assert kinds(layer) == "Conv Act Conv Act Conv Act"
    assert [(leaf.channels, leaf.kernel) for leaf in leaves(layer) if isinstance(leaf, Conv)] == [
        (256, 5),
        (256, 1),
        (256, 1),
    ]


def test_nins_head_has_no_fully_connected_layer() -> None:
    layer = ConvHead(kernel=3, hidden=True).layer(384, 1000)
    assert all(leaf.channels == 1000 for leaf in leaves(layer) if isinstance(leaf, Conv))
    assert "Linear" not in kinds(layer)


def test_a_skip_is_nothing_where_it_can_be() -> None:
    assert Skip().layer(16, 16, 1) == Identity()
    assert layer_cost(Skip().layer(16, 16, 1), Shape(16, 8, 8))[1].params == 0
    assert kinds(Skip().layer(16, 32, 2)) == "Conv BatchNorm"
