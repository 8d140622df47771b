"""The faster depthwise convolution is the same function: outputs, gradients, names, counts."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nas import device
from nas.build import build
from nas.depthwise import SmallMapDepthwise, quicken
from nas.profile import flops
from search_spaces import Arch, cost

MOBILE = Arch.parse(
    "r32 | conv_stem(width=8) | inverted_residual(kernel=7, se=0.25) c16 n2 s2 | inverted_residual(kernel=5) c24 n2 s2 "
    "| depthwise_separable(kernel=5) c32 s2 | shuffle_unit(groups=2, kernel=5) c32 n2 s2 | pool_head"
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.integers(1, 5),
    st.integers(1, 6),
    st.sampled_from([1, 3, 5, 7]),
    st.integers(1, 2),
    st.integers(2, 6),
    st.integers(1, 5),
)
def test_outputs_and_gradients_are_those_of_torch(
    height: int, width: int, kernel: int, stride: int, channels: int, batch: int
) -> None:
    plain = nn.Conv2d(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)
    ours = SmallMapDepthwise(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)
    ours.load_state_dict(plain.state_dict())
    images = torch.randn(batch, channels, height, width, requires_grad=True)
    expected, found = plain(images), ours(images)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    gradient = torch.randn_like(expected)
    for mine, theirs in zip(
        torch.autograd.grad(found, (images, ours.weight), gradient),
        torch.autograd.grad(expected, (images, plain.weight), gradient),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("pixels", [32, 20])
def test_a_quickened_network_computes_the_same_under_the_same_names(pixels: int) -> None:
    torch.manual_seed(0)
    network = build(MOBILE.at(pixels), 3, 10).train()
    images = torch.randn(4, 3, pixels, pixels)
    expected, names = network(images), list(network.state_dict())
    device.place(network, torch.device("cpu"))
    assert sum(isinstance(m, SmallMapDepthwise) for m in network.modules()) == 7
    assert list(network.state_dict()) == names
    torch.testing.assert_close(network(images), expected, atol=1e-5, rtol=1e-4)


def test_only_depthwise_convolutions_change() -> None:
    layers = nn.Sequential(nn.Conv2d(4, 8, 3, groups=4), nn.Conv2d(8, 8, 3, groups=2), nn.Conv2d(1, 1, 3))
    quicken(layers)
    assert all(type(layer) is nn.Conv2d for layer in layers)


def test_fvcore_counts_the_network_before_it_is_quickened() -> None:
    network = build(MOBILE, 3, 10)
    assert flops(network, 3, 32) == cost(MOBILE, 3, 10).flops
