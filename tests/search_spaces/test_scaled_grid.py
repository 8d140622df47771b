"""A grid of scaled networks is what counting each of them says, where none comes out too."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces import zoo
from search_spaces.arch import Arch
from search_spaces.cost import ChainReader, cost, layer_cost
from search_spaces.errors import ArchError
from search_spaces.layers import Act, BatchNorm, Conv, Identity, Shape, add, chain
from search_spaces.scaled_grid import flops
from search_spaces.scaling import scale
from search_spaces.spaces import find, names
from tests.strategies import SEEDS

DEPTHS, WIDTHS = (0.3, 1.0, 1.37, 2.9), (0.26, 1.0, 1.6)


def one_by_one(arch: Arch, resolution: float, in_channels: int = 3) -> list[list[int | None]]:
    def counted(depth: float, width: float) -> int | None:
        try:
            return cost(scale(arch, depth, width, resolution), in_channels, 10).flops
        except ArchError:
            return None

    return [[counted(depth, width) for depth in DEPTHS] for width in WIDTHS]


@pytest.mark.parametrize("family", zoo.families())
def test_a_grid_of_each_family_is_exact(family: str) -> None:
    arch = zoo.family(family)[0].arch
    assert flops(arch, DEPTHS, WIDTHS, 1.2, num_classes=10) == one_by_one(arch, 1.2)


def test_a_grid_keeps_pools_that_project() -> None:
    arch = Arch.parse("r64 | conv_stem(width=12) | max_pool c20 s2 | max_pool c20 s2 | pool_head")
    assert flops(arch, DEPTHS, WIDTHS, 1.2, num_classes=10) == one_by_one(arch, 1.2)


def test_a_grid_tells_where_no_network_comes_out() -> None:
    """DenseNet-201's third block would pass the language's 128 layers at 2.9 times its depth."""
    arch = zoo.find("densenet201").arch
    found = flops(arch, DEPTHS, WIDTHS, num_classes=10)
    assert found == one_by_one(arch, 1.0)
    assert [None in row for row in found] == [True] * 3
    assert found[1][1] == cost(arch, 3, 10).flops


@settings(max_examples=12)
@given(st.sampled_from(names()), SEEDS, st.sampled_from((0.2, 1.0, 1.5)), st.sampled_from((1, 3)))
def test_a_grid_of_any_network_is_exact(name: str, seed: int, resolution: float, channels: int) -> None:
    arch = find(name).sample(Random(seed))
    assert flops(arch, DEPTHS, WIDTHS, resolution, channels, 10) == one_by_one(arch, resolution, channels)


@pytest.mark.parametrize("order", [(2, 5, 3), (5, 2, 4), (3, 3, 1)])
def test_chains_that_begin_alike_are_read_as_each_alone(order: tuple[int, ...]) -> None:
    part = add(identity=Identity(), path=chain(conv=Conv(8, 3), norm=BatchNorm(), act=Act("relu")))
    reader = ChainReader()
    for times in order:
        for shape in (Shape(8, 5, 5), Shape(8, 9, 9)):
            whole = chain(*[part] * times, last=Conv(4))
            assert reader.read(whole, shape) == layer_cost(whole, shape)
