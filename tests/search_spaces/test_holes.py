"""Holes: their labels, the one traversal that fills them, and the way back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.arch import Arch, Stage
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.dense import Dense
from search_spaces.blocks.fire import Fire
from search_spaces.blocks.inception import Inception
from search_spaces.blocks.inverted_residual import InvertedResidual
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.errors import ArchError, SpaceError
from search_spaces.holes import (
    MAX_OPTIONS,
    Choice,
    Hole,
    IntRange,
    OneOf,
    Range,
    count,
    fill,
    fillings,
    holes,
    is_open,
    match,
)
from search_spaces.space import Space
from tests.search_spaces.small import SMALL, every_filling


def hole(value: object) -> Hole:
    assert isinstance(value, Hole)
    return value


def test_labels_are_scalars_and_differ() -> None:
    blocks = hole(OneOf(Fire(), Fire(squeeze=0.5), Dense(), Fire(squeeze=0.25)))
    assert blocks.labels == ("fire", "fire#2", "dense", "fire#3")
    assert [blocks.option(label) for label in blocks.labels] == list(blocks.options)
    assert hole(OneOf((4, 8, 2, 2), (6, 6, 2, 2))).labels == ("(4,8,2,2)", "(6,6,2,2)")
    assert hole(OneOf("none", "simple")).labels == ("none", "simple")
    assert hole(IntRange(2, 8, 3)).labels == (2, 5, 8)


def test_only_numbers_are_ordered() -> None:
    assert hole(OneOf(1, 2.5)).ordered
    assert hole(IntRange(1, 3)).ordered
    assert not hole(OneOf(True, False)).ordered
    assert not hole(OneOf("a", "b")).ordered


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: OneOf(), "1 to 4096 options, but got 0"),
        (lambda: OneOf(*range(MAX_OPTIONS + 1)), "1 to 4096 options, but got 4097"),
        (lambda: OneOf(3, 5, 3), r"must differ, but got OneOf\(3, 5, 3\)"),
        (lambda: OneOf(OneOf(1, 2), 3), "the same choice"),
        (lambda: IntRange(3, 2), r"low <= high must hold .* got IntRange\(3, 2, 1\)"),
        (lambda: IntRange(1, 4, 2), "step must divide the distance"),
        (lambda: IntRange(1, 4, 0), "step must divide the distance"),
        (lambda: IntRange(1, 5000), "at most 4096 numbers"),
        (lambda: hole(OneOf(1, 2)).option(3), "one of 1, 2, but got 3"),
    ],
)
def test_errors_state_the_rule(make: object, said: str) -> None:
    with pytest.raises(SpaceError, match=said):
        make()  # type: ignore[operator]


def test_what_a_hole_offers_is_checked_when_it_is_filled() -> None:
    open_block = InvertedResidual(kernel=OneOf(3, 4))
    assert is_open(open_block)
    assert fill(open_block, lambda path, hole: 3) == InvertedResidual(3)
    with pytest.raises(ArchError, match="odd kernels"):
        fill(open_block, lambda path, hole: 4)


def test_paths_are_scoped_by_the_option_that_opens_them() -> None:
    assert list(SMALL["nested"].holes) == [
        "resolution",
        "stem",
        "stem.conv_stem#2.width",
        "stage1",
        "stage1.stage.block",
        "stage1.stage.block.fire.squeeze",
        "stage1.stage.block.dense.layers",
        "stage1.stage.block.dense.transition",
        "stage1.stage.width",
        "stage1.skip.width",
        "stage1.skip.stride",
        "stage2.block.expand",
        "stage2.width",
        "stage2.depth",
        "head",
        "head.pool_head.width",
    ]


def test_holes_of_alternative_tuples_are_parted() -> None:
    """Each under the option that it stands in, so that neither takes the other's place."""
    block = Inception(widths=OneOf((OneOf(2, 4), 4, 4, 4, 4, OneOf(4, 6)), (IntRange(5, 7), 4, 4, 4, 4, 4)))
    space = Space("parted", Arch(16, ConvStem(8), (Stage(block, OneOf(14, 16, 17, 18)),), PoolHead()))
    first, second = space.holes["stage1.block.widths"].labels
    assert {f"stage1.block.widths.{first}.1", f"stage1.block.widths.{first}.6"} < space.holes.keys()
    assert f"stage1.block.widths.{second}.1" in space.holes
    networks = [arch for arch in fillings(space.template) if space.valid(arch)]
    assert len(networks) == space.size() == 6
    for arch in networks:
        assert space.arch(space.params(arch)) == arch
        assert set(space.neighbours(arch)) <= set(networks)


@pytest.mark.parametrize("name", SMALL)
def test_every_way_to_read_a_space_finds_the_same_fillings(name: str) -> None:
    template = SMALL[name].template
    chosen = [arch for arch, _ in every_filling(template)]
    listed = list(fillings(template))
    assert len(listed) == count(template) == len(chosen)
    assert set(listed) == set(chosen)
    assert not any(is_open(arch) for arch in listed)


@pytest.mark.parametrize("name", ["flat", "nested"])
def test_match_undoes_fill(name: str) -> None:
    template = SMALL[name].template
    for arch, said in every_filling(template):
        assert match(template, arch) == said


def test_match_finds_one_way_where_there_are_two() -> None:
    template = SMALL["twins"].template
    for arch, _ in every_filling(template):
        labels = match(template, arch)
        assert labels is not None
        assert fill(template, lambda path, hole, labels=labels: labels[path]) == arch  # type: ignore[misc]


def test_match_says_none_for_what_is_not_in_it() -> None:
    template = SMALL["flat"].template
    arch = next(iter(fillings(template)))
    assert match(template, arch) is not None
    assert match(template, arch.at(17)) is None
    assert match(template, SMALL["nested"].template) is None
    assert match(InvertedResidual(kernel=OneOf(3, 5)), Fire()) is None
    assert match(InvertedResidual(kernel=OneOf(3, 5)), InvertedResidual(3, expand=2)) is None
    assert match(OneOf(1, 2), True) is None


def test_a_closed_node_has_one_filling() -> None:
    assert list(fillings(Fire())) == [Fire()]
    assert count(Fire()) == 1
    assert list(holes(Fire())) == []
    assert match(Fire(), Fire()) == {}


@given(st.integers(-50, 50), st.integers(0, 40), st.integers(1, 7))
def test_int_range_is_range_with_both_ends(low: int, steps: int, step: int) -> None:
    made = hole(IntRange(low, low + steps * step, step))
    assert isinstance(made, Range)
    assert made.options == tuple(range(low, low + steps * step + 1, step))
    assert str(made) == f"IntRange({low}, {low + steps * step}, {step})"


def test_a_choice_prints_as_it_is_written() -> None:
    assert str(Choice((3, 5))) == "OneOf(3, 5)"
