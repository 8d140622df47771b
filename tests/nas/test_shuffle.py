"""What a channel shuffle and ShuffleNet's units compute."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from nas.build import module
from search_spaces.blocks.shuffle_unit import ShuffleUnit
from search_spaces.layers import Conv, Layer, Shape, Shuffle, chain
from tests.nas.judging import State, conv, image, lively, named, same

EXACT = settings(max_examples=60)
DIVISORS = st.tuples(st.integers(1, 8), st.integers(1, 8))


def shuffled(x: Tensor, groups: int) -> Tensor:
    """Channel by channel: number `j` of group `i` goes to place `i` among the `j`-th of each group."""
    size = x.shape[1] // groups
    outputs: list[Tensor] = [x[:, 0]] * x.shape[1]
    for i in range(groups):
        for j in range(size):
            outputs[j * groups + i] = x[:, i * size + j]
    return torch.stack(outputs, 1)


def test_a_channel_shuffle_of_6_channels_in_2_groups_by_hand() -> None:
    """(0 1 2 | 3 4 5) as a 2×3 matrix, transposed, flattened."""
    x = torch.arange(6.0).view(1, 6, 1, 1)
    assert module(Shuffle(2), Shape(6, 1, 1))(x).flatten().tolist() == [0, 3, 1, 4, 2, 5]


@EXACT
@given(DIVISORS)
def test_a_channel_shuffle_reshapes_transposes_and_flattens(sizes: tuple[int, int]) -> None:
    groups, rest = sizes
    shape = Shape(groups * rest, 2, 3)
    assert torch.equal(module(Shuffle(groups), shape)(image(shape)), shuffled(image(shape), groups))


@EXACT
@given(DIVISORS)
def test_a_shuffle_with_g_then_with_c_over_g_groups_is_the_identity(sizes: tuple[int, int]) -> None:
    groups, rest = sizes
    shape = Shape(groups * rest, 3, 2)
    both = module(chain(Shuffle(groups), Shuffle(rest)), shape)
    assert torch.equal(both(image(shape)), image(shape))


def test_a_channel_shuffle_lets_every_group_hear_of_every_other() -> None:
    """Figure 1 of the paper: two grouped convolutions with and without a shuffle between."""

    def heard(layer: Layer) -> int:
        shape = Shape(12, 1, 1)
        jacobian = torch.autograd.functional.jacobian(lively(layer, shape), image(shape, 1)).view(12, 12)
        return int((jacobian != 0).sum())

    grouped = Conv(12, groups=3)
    assert heard(chain(grouped, grouped)) == 3 * 4 * 4
    assert heard(chain(grouped, Shuffle(3), grouped)) == 12 * 12


def shuffle_path(s: State, x: Tensor, groups: tuple[int, int], stride: int) -> Tensor:
    """1×1, ReLU, shuffle, depthwise without ReLU, 1×1."""
    hidden = shuffled(conv(s, "path.reduce", x, groups=groups[0]), groups[1])
    hidden = conv(s, "path.depthwise", hidden, stride, groups=hidden.shape[1], act="none")
    assert hidden.min() < 0
    return conv(s, "path.expand", hidden, groups=groups[1], act="none")


def test_a_shufflenet_unit_adds_its_input() -> None:
    shape = Shape(24, 7, 7)
    network, x = lively(ShuffleUnit(groups=3).layer(24, 24, 1), shape), image(shape)
    s = {name.removeprefix("unit."): value for name, value in named(network)}
    assert same(network(x), F.relu(x + shuffle_path(s, x, (3, 3), 1)))


@pytest.mark.parametrize("first", [0, 1])
def test_a_strided_shufflenet_unit_concatenates_its_average_pooled_input(first: int) -> None:
    """3×3 with stride 2; `first_groups=1` is the network's first unit, whose first 1×1 is not grouped."""
    shape = Shape(12, 8, 7)
    network, x = lively(ShuffleUnit(groups=3, first_groups=first).layer(12, 36, 2), shape), image(shape)
    s = {name.removeprefix("unit."): value for name, value in named(network)}
    assert s["path.reduce.conv.weight"].shape == (9, 12 if first else 4, 1, 1)
    pooled = F.avg_pool2d(x, 3, 2, 1)
    assert same(network(x), F.relu(torch.cat([pooled, shuffle_path(s, x, (first or 3, 3), 2)], 1)))
