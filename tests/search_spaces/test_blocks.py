"""What every block must do: these run over the registry, so that a new block is covered without being named here."""

from dataclasses import fields
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.build import build
from nas.profile import profile
from search_spaces.arch import Arch, Stage
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.dense import Dense
from search_spaces.blocks.fire import Fire
from search_spaces.blocks.inception import Inception
from search_spaces.blocks.inverted_residual import InvertedResidual
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.cost import cost
from search_spaces.errors import ArchError, SpaceError
from search_spaces.layers import Shape
from search_spaces.part import REGISTRY, Block, Head, Part, Stem, known
from tests.strategies import accepted, fields_of, made, parts, required

BLOCKS, STEMS, HEADS = known(Block), known(Stem), known(Head)
MODEST = [16, 24, 32]  # wide enough for the four branches of an inception module


def around(block: Block, width: int, stride: int, before: int = 16, resolution: int = 9) -> Arch:
    """The smallest network with a block in it."""
    return Arch(resolution, ConvStem(before, stride=1), (Stage(block, width, stride=stride),), PoolHead())


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
