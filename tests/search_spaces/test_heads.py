"""Heads as numbers: spatial pyramids, and global average pooling against fully connected layers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces import zoo
from search_spaces.arch import Arch
from search_spaces.blocks.conv_head import ConvHead
from search_spaces.blocks.fc_head import FcHead
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.blocks.spp_head import SppHead
from search_spaces.cost import ledger
from search_spaces.layers import Chain, Shape
from tests.search_spaces.systems import CHANNELS, SIZES, of

# ------------------------------------------------------------------------------------------- SPP-net


def pyramid(head: SppHead, shape: Shape) -> Shape:
    """The vector between the pyramid and the first linear layer."""
    layer = head.layer(shape.channels, 10)
    assert isinstance(layer, Chain)
    return layer.layers[layer.names.index("pyramid")].out(shape)


@given(SIZES, SIZES)
def test_bins_4_2_and_1_on_256_channels_make_21_times_256_features_of_any_size(height: int, width: int) -> None:
    assert pyramid(SppHead(bins=(4, 2, 1)), Shape(256, height, width)) == Shape(21 * 256, 1, 1)


@given(CHANNELS, SIZES, SIZES)
def test_the_usual_bins_1_2_3_and_6_make_50_features_a_channel(channels: int, height: int, width: int) -> None:
    assert SppHead().bins == (1, 2, 3, 6)
    assert pyramid(SppHead(), Shape(channels, height, width)) == Shape(50 * channels, 1, 1)


@given(SIZES, SIZES)
def test_a_pyramids_classifier_has_the_same_parameters_at_any_size(height: int, width: int) -> None:
    """SPP-net's two hidden layers of 4096 on 256 channels: 12,800 features, whatever the image's size."""
    read = of(SppHead(depth=2).layer(256, 1000), 256, height, width)
    assert read.params == 12_800 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 1000 + 1000
    assert read.macs == 12_800 * 4096 + 4096 * 4096 + 4096 * 1000


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet50", "densenet121", "shufflenet_g3", "squeezenet1_1"])
@pytest.mark.parametrize("resolution", [97, 160, 224])
def test_any_backbone_can_have_a_pyramid_head(name: str, resolution: int) -> None:
    arch = replace(zoo.find(name).arch, head=SppHead(bins=(4, 2, 1)), resolution=resolution)
    before = ledger(arch)[-1].input
    assert Arch.parse(str(arch)) == arch
    assert ledger(arch)[-1].cost.params == 21 * before.channels * 1000 + 1000


# --------------------------------------------- global average pooling against fully connected layers


def test_vggs_fully_connected_layers_have_123642856_parameters() -> None:
    """Layer by layer, on 512 channels of 7×7."""
    by_hand = (512 * 7 * 7 + 1) * 4096 + 4097 * 4096 + 4097 * 1000
    assert of(FcHead().layer(512, 1000), 512, 7, 7).params == by_hand == 123_642_856
    assert of(FcHead().layer(512, 1000), 512, 7, 7).macs == 25_088 * 4096 + 4096 * 4096 + 4096 * 1000


def test_global_average_pooling_on_the_same_map_leaves_513000() -> None:
    """512·1000 + 1000, as a linear layer behind the pool or as a 1×1 convolution before it: 241 times fewer."""
    pooled, convolved = (of(head.layer(512, 1000), 512, 7, 7) for head in (PoolHead(), ConvHead()))
    assert pooled.params == convolved.params == 513_000
    assert pooled.macs == 512_000
    assert convolved.macs == 49 * 512_000
    assert 123_642_856 // 513_000 == 241


@given(CHANNELS, st.integers(2, 1000), st.integers(1, 20))
def test_global_average_pooling_has_size_squared_fewer_weights_than_one_fully_connected_layer(
    channels: int, classes: int, size: int
) -> None:
    flat = of(FcHead(size=size, depth=0).layer(channels, classes), channels, size, size).params - classes
    pooled = of(PoolHead().layer(channels, classes), channels, size, size).params - classes
    assert flat == size**2 * pooled == size**2 * channels * classes


# The Fast R-CNN row (RoI pooling, IoU, NMS, boxes worked by hand): tests/nas/detection.
