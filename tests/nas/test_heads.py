"""What heads compute: spatial pyramids, global average pooling, fully connected layers."""

from __future__ import annotations

from math import ceil, floor

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas.build import build, module
from search_spaces.arch import Arch, Stage
from search_spaces.blocks.conv_head import ConvHead
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.dense import Dense
from search_spaces.blocks.fc_head import FcHead
from search_spaces.blocks.fire import Fire
from search_spaces.blocks.inverted_residual import InvertedResidual
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.blocks.shuffle_unit import ShuffleUnit
from search_spaces.blocks.spp_head import SppHead
from search_spaces.layers import Shape
from search_spaces.part import Head
from tests.nas.judging import image, lively, named, same

# --------------------------------------------------------------------------------------------- SPP-net


def pyramid_by_hand(x: Tensor, bins: tuple[int, ...]) -> Tensor:
    """Cell (i, j) of n × n is the largest value from ⌊i·H/n⌋ to ⌈(i+1)·H/n⌉, and so across."""
    n, _, height, width = x.shape
    levels = []
    for b in bins:
        rows, columns = (
            [slice(floor(i * size / b), ceil((i + 1) * size / b)) for i in range(b)] for size in (height, width)
        )
        cells = [x[:, :, row, column].amax((2, 3)) for row in rows for column in columns]
        levels.append(torch.stack(cells, 2).reshape(n, -1))
    return torch.cat(levels, 1)


SPP_SIZES = [(13, 13), (10, 10), (7, 5), (24, 17), (6, 31), (3, 2), (1, 1)]


@pytest.mark.parametrize("size", SPP_SIZES, ids=str)
@pytest.mark.parametrize(("bins", "features"), [((4, 2, 1), 21), ((1, 2, 3, 6), 50)])
def test_spatial_pyramid_pooling_takes_the_largest_value_of_each_cell(
    size: tuple[int, int], bins: tuple[int, ...], features: int
) -> None:
    shape = Shape(8, *size)
    head, x = lively(SppHead(bins=bins).layer(8, 4), shape), image(shape)
    assert torch.equal(head.pyramid(x), pyramid_by_hand(x, bins))
    assert head.pyramid(x).shape == (2, features * 8)


def test_spatial_pyramid_pooling_of_13x13_maps_has_the_papers_windows() -> None:
    """Section 2.3: windows of ⌈13/n⌉ pixels, ⌊13/n⌋ apart: the published pools of 6×6, 3×3, 2×2 and 1×1 bins."""
    shape = Shape(256, 13, 13)
    head, x = lively(SppHead(bins=(6, 3, 2, 1)).layer(256, 4), shape), image(shape)
    judge = [F.max_pool2d(x, ceil(13 / n), floor(13 / n)).flatten(1) for n in (6, 3, 2, 1)]
    assert torch.equal(head.pyramid(x), torch.cat(judge, 1))


@pytest.mark.parametrize(
    "stage",
    [
        Stage(InvertedResidual(), 16, 1, 2),
        Stage(ShuffleUnit(groups=2), 16, 1, 2),
        Stage(Dense(2, 8), 16, 1, 2),
        Stage(Fire(), 16, 1, 2),
    ],
    ids=str,
)
def test_one_network_with_a_pyramid_head_reads_images_of_any_size(stage: Stage) -> None:
    """Bins 4, 2, 1: a vector of 21·16 for whole and odd sizes, and the same logits as its parts by hand."""
    network = build(Arch(64, ConvStem(8), (stage,), SppHead(bins=(4, 2, 1))), 3, 5).eval()
    for height, width in ((64, 64), (32, 32), (47, 33), (17, 90)):
        x = image(Shape(3, height, width), 1)
        with torch.no_grad():
            maps = network.stage1(network.stem(x))
            vector = pyramid_by_hand(maps, (4, 2, 1))
            assert vector.shape == (1, 21 * 16)
            assert same(network(x), F.linear(vector, network.head.classifier.weight, network.head.classifier.bias))


# -------------------------------------------------- global average pooling and fully connected layers


def test_global_average_pooling_is_the_mean_of_each_map_through_one_linear_layer() -> None:
    shape = Shape(12, 7, 5)
    head, x = lively(PoolHead().layer(12, 6), shape), image(shape)
    s = dict(named(head))
    assert same(head(x), F.linear(x.mean((2, 3)), s["classifier.weight"], s["classifier.bias"]))


def test_a_1x1_convolution_before_global_average_pooling_is_a_linear_layer_behind_it() -> None:
    """But for SqueezeNet's ReLU before the pool: where no map is cut off, the heads are one function."""
    shape = Shape(12, 7, 5)
    convolved, pooled = lively(ConvHead().layer(12, 6), shape), lively(PoolHead().layer(12, 6), shape)
    weight, bias = convolved.conv.weight.data.abs(), convolved.conv.bias.data.abs()
    convolved.load_state_dict({"conv.weight": weight, "conv.bias": bias})
    pooled.load_state_dict({"classifier.weight": weight.flatten(1), "classifier.bias": bias})
    x = image(shape).abs()
    assert same(convolved(x), pooled(x))


def test_vggs_head_is_two_hidden_layers_on_the_flattened_map() -> None:
    shape = Shape(6, 7, 7)
    head, x = lively(FcHead(hidden=20).layer(6, 5), shape), image(shape)
    judge = nn.Sequential(nn.Flatten(), nn.Linear(294, 20), nn.ReLU(), nn.Linear(20, 20), nn.ReLU(), nn.Linear(20, 5))
    judge.load_state_dict(dict(zip(judge.state_dict(), head.state_dict().values(), strict=True)))
    assert same(head(x), judge(x))
    assert [part.p for part in head.modules() if isinstance(part, nn.Dropout)] == [0.5, 0.5]


@pytest.mark.parametrize(("head", "params"), [(FcHead(), 123_642_856), (PoolHead(), 513_000), (ConvHead(), 513_000)])
def test_the_parameters_of_heads_on_512x7x7_are_those_of_the_built_modules(head: Head, params: int) -> None:
    with torch.device("meta"):
        network = module(head.layer(512, 1000), Shape(512, 7, 7))
    assert sum(p.numel() for p in network.parameters()) == params
