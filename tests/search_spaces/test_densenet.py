"""DenseNet as numbers: the channels that its layers read, its growth, its transitions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces import zoo
from search_spaces.blocks.dense import Dense
from search_spaces.layers import Act, AvgPool, BatchNorm, Chain, Conv, Shape
from tests.search_spaces.systems import blocks, of, of_arch

# That a layer really reads every map before it, L(L + 1)/2 in all: tests/nas/test_dense.py.


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
