"""Every system's block is searchable."""

from __future__ import annotations

from random import Random

import pytest

from search_spaces.arch import Arch, Stage
from search_spaces.blocks.bottleneck import Bottleneck
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.depthwise_separable import DepthwiseSeparable
from search_spaces.blocks.fire import Fire
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.cost import cost
from search_spaces.holes import OneOf
from search_spaces.part import Block
from search_spaces.space import Space
from search_spaces.spaces import find


# The order of their layers: test_block_papers.py; their outputs: tests/nas/test_separable.py, test_residual.py.
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
