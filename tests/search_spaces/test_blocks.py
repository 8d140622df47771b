"""What every block must do, and the mechanisms of the papers.

The first half runs over the registry: a new block is covered without being named here.
"""

import re
from dataclasses import fields
from fractions import Fraction
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nas.build import build, module
from nas.profile import profile
from search_spaces.arch import Arch, Stage
from search_spaces.blocks.bottleneck import Bottleneck
from search_spaces.blocks.conv_head import ConvHead
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.dense import Dense
from search_spaces.blocks.depthwise_separable import DepthwiseSeparable
from search_spaces.blocks.fire import Fire
from search_spaces.blocks.inception import Inception
from search_spaces.blocks.inverted_residual import InvertedResidual
from search_spaces.blocks.mlpconv import Mlpconv
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.blocks.resnext import Resnext
from search_spaces.blocks.shuffle_unit import ShuffleUnit
from search_spaces.blocks.skip import Skip
from search_spaces.cost import cost, layer_cost, ledger
from search_spaces.errors import ArchError, SpaceError
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
from search_spaces.part import REGISTRY, Block, Head, Part, Stem, known
from tests.strategies import accepted, fields_of, made, parts, required

BLOCKS, STEMS, HEADS = known(Block), known(Stem), known(Head)
MODEST = [16, 24, 32]  # wide enough for the four branches of an inception module


def around(block: Block, width: int, stride: int, before: int = 16, resolution: int = 9) -> Arch:
    """The smallest network with a block in it."""
    return Arch(resolution, ConvStem(before, stride=1), (Stage(block, width, stride=stride),), PoolHead())


def macs(layer: Layer, *shape: int) -> int:
    return layer_cost(layer, Shape(*shape))[1].macs


def leaves(layer: Layer) -> list[Layer]:
    """Every leaf, in order of execution."""
    return [leaf for part in layer.layers for leaf in leaves(part)] if isinstance(layer, Combinator) else [layer]


def kinds(layer: Layer) -> str:
    """The kinds of the leaves, in order: 'Conv BatchNorm Act'."""
    return " ".join(type(leaf).__name__ for leaf in leaves(layer))


# ---------------------------------------------------------------------------------- every block


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("first", "second"), list(product(BLOCKS, BLOCKS)))
def test_any_block_follows_any_other(first: str, second: str, stride: int) -> None:
    """Exactly the channels that the stage asks for, and half the size, rounded up."""
    for widths in ((16, 16), (16, 32), (32, 16), (24, 30)):
        shape = Shape(20, 15, 14)
        for name, width in zip((first, second), widths, strict=True):
            shape = BLOCKS[name]().layer(shape.channels, width, stride).out(shape)
            assert shape.channels == width
        assert shape[1:] == (-(-15 // stride**2), -(-14 // stride**2))


@given(parts(), st.sampled_from(MODEST), st.sampled_from(MODEST), st.sampled_from((1, 2, 3)), st.integers(5, 40))
def test_fields_do_not_change_the_shape(
    block: Block, in_channels: int, out_channels: int, stride: int, size: int
) -> None:
    shape = Shape(in_channels, size, size + 1)
    layer = block.layer(in_channels, out_channels, stride)
    assert layer.out(shape) == Shape(out_channels, -(-size // stride), -(-(size + 1) // stride))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("before", "width"), [(16, 16), (16, 24), (24, 16)])
@pytest.mark.parametrize("name", BLOCKS)
def test_every_parameter_of_a_block_learns(name: str, before: int, width: int, stride: int) -> None:
    network = build(around(BLOCKS[name](), width, stride, before), in_channels=3, num_classes=4)
    output = network(torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(0)))
    assert output.shape == (2, 4)
    output.square().sum().backward()
    for path, parameter in network.named_parameters():
        assert parameter.grad is not None, path
        assert torch.isfinite(parameter.grad).all(), path


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("before", "width"), [(16, 16), (16, 24), (24, 16)])
@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_costs_what_fvcore_says(name: str, before: int, width: int, stride: int) -> None:
    arch = around(BLOCKS[name](), width, stride, before)
    assert profile(build(arch, 3, 4), 3, 9).agrees(cost(arch, 3, 4))


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_with_any_fields_costs_what_fvcore_says(name: str) -> None:
    cls, seen = BLOCKS[name], set()
    for field in fields(cls):
        for value in accepted(cls, field.name)[:4]:
            seen.add(cls(**(required(cls) | {field.name: value})))
    stages = tuple(Stage(block, 16) for block in sorted(seen, key=str))
    arch = Arch(7, ConvStem(16, stride=1), stages, PoolHead())
    assert profile(build(arch, 1, 3), 1, 7).agrees(cost(arch, 1, 3))


@given(parts(), parts(Stem), parts(Head))
def test_parts_read_back_from_their_text(block: Block, stem: Stem, head: Head) -> None:
    arch = Arch(32, stem, (Stage(block, 16, 2, 2),), head)
    assert Arch.parse(str(arch)) == arch


@settings(max_examples=40)
@given(parts(Stem), parts(Head))
def test_stems_and_heads_make_an_image_into_one_number_a_class(stem: Stem, head: Head) -> None:
    network = build(Arch(40, stem, (), head), in_channels=1, num_classes=3).eval()
    assert network(torch.zeros(2, 1, 40, 40)).shape == (2, 3)


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_a_part_says_what_it_is(name: str) -> None:
    cls = REGISTRY[name]
    assert cls.__doc__
    assert len(cls.__doc__.split()) > 5
    assert name == cls.label
    assert fields_of(cls) is not None


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_a_part_refuses_senseless_fields_in_its_own_words(name: str) -> None:
    cls = REGISTRY[name]
    for field in fields(cls):
        for value in (-1, 10**6, 1e300, float("nan"), float("inf"), "no such word", (0, -1), None, [1], b"x"):
            try:
                part = cls(**(required(cls) | {field.name: value}))
            except ArchError as error:
                assert name in str(error)  # noqa: PT017 - other parts may well accept the value
            else:
                assert str(part) in str(Arch.parse(f"r9 | {in_its_place(part)}"))


def in_its_place(part: Part) -> str:
    """A network's text after the resolution, with the part in its place."""
    if isinstance(part, Stem):
        return f"{part} | pool_head"
    return f"conv_stem(width=8) | {part}{' c8 | pool_head' if isinstance(part, Block) else ''}"


def test_two_parts_of_one_name_are_an_error() -> None:
    with pytest.raises(SpaceError, match="part names must differ"):
        type("Fire", (Block,), {"__module__": "elsewhere"})
    assert known(Block)["fire"] is Fire


def test_an_abstract_part_makes_no_layer() -> None:
    for kind, shape in ((Block, (1, 1, 1)), (Stem, (1,)), (Head, (1, 1))):
        with pytest.raises(TypeError, match="abstract"):
            kind().layer(*shape)  # type: ignore[attr-defined]


def test_made_says_none_where_a_part_refuses() -> None:
    assert made(Fire, squeeze=0.0) is None
    assert made(Fire, squeeze=0.5) == Fire(0.5)


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


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Fire(squeeze=2), "a squeeze ratio in"),
        (lambda: Fire(bypass="some"), "bypass of none, simple or complex"),
        (lambda: InvertedResidual(kernel=4), "odd kernels"),
        (lambda: InvertedResidual(act="softplus"), "an activation out of relu"),
        (lambda: InvertedResidual(kernel=True), "kernel must be a whole number, but got true"),
        (lambda: InvertedResidual(kernel=3.5), "kernel must be a whole number, but got 3.5"),
        (lambda: Inception(shares=(4, 8, 2, 1)), "sum 16"),
        (lambda: Inception(widths=(1, 2, 3)), "no or six widths"),
        (lambda: Inception().layer(16, 3, 1), "a channel for every branch"),
        (lambda: Inception(widths=(64, 96, 128, 16, 32, 32)).layer(192, 255, 1), "must sum to 255"),
        (lambda: Fire().layer(16, 1, 1), "a channel for each expansion"),
        (lambda: Dense(layers=0), "1 to 128 layers"),
        (lambda: ConvStem(width=0), "1 to 65536 channels"),
        (lambda: ConvStem(width=8, stride=9), "a stride from 1 to 8"),
        (lambda: PoolHead(dropout=1), r"a dropout in \[0, 1\)"),
        (lambda: Stage(Fire(), 0), r"width \(c\) must be a whole number from 1"),
        (lambda: Stage(Fire(), 8, depth=257), r"depth \(n\) must be a whole number from 1 to 256"),
        (lambda: Stage(PoolHead(), 8), "a stage repeats a block"),
        (lambda: Arch(32, Fire(), (), PoolHead()), "a network's stem is a Stem"),
        (lambda: Arch(32, ConvStem(8), (), Fire()), "a network's head is a Head"),
        (lambda: Arch(32, ConvStem(8), (Stage(Fire(), 8),) * 257, PoolHead()), "at most 256 stages, but got 257"),
    ],
)
def test_errors_state_the_rule(make: object, said: str) -> None:
    with pytest.raises(ArchError, match=said):
        make()  # type: ignore[operator]
