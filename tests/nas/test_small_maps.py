"""Convolutions that are quick on small maps are the same functions: outputs, gradients, names, counts."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nas import depthwise, device, small_maps
from nas.build import build
from nas.depthwise import SmallMapDepthwise
from nas.profile import flops
from nas.small_maps import SmallMapConv
from search_spaces import Arch, cost

MOBILE = Arch.parse(
    "r32 | conv_stem(width=8) | inverted_residual(kernel=7, se=0.25) c16 n2 s2 | inverted_residual(kernel=5) c24 n2 s2 "
    "| depthwise_separable(kernel=5) c32 s2 | shuffle_unit(groups=2, kernel=5) c32 n2 s2 | pool_head"
)
FIRE = Arch.parse("r32 | conv_stem(width=8, pool=true) | fire c16 s2 | inception c32 s2 | dense c48 s2 | pool_head")


def same(plain: nn.Conv2d, ours: nn.Conv2d, images: torch.Tensor) -> None:
    """Outputs, and gradients by images, weights and biases."""
    ours.load_state_dict(plain.state_dict())
    images.requires_grad_()
    expected, found = plain(images), ours(images)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    gradient = torch.randn_like(expected)
    for mine, theirs in zip(
        torch.autograd.grad(found, (images, *ours.parameters()), gradient),
        torch.autograd.grad(expected, (images, *plain.parameters()), gradient),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-4)


@settings(max_examples=60)
@given(
    st.integers(1, 5),
    st.integers(1, 6),
    st.sampled_from([1, 3, 5, 7]),
    st.integers(1, 2),
    st.integers(2, 6),
    st.integers(1, 5),
)
def test_depthwise_convolutions_are_those_of_torch(
    height: int, width: int, kernel: int, stride: int, channels: int, batch: int
) -> None:
    plain, ours = (
        kind(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)
        for kind in (nn.Conv2d, SmallMapDepthwise)
    )
    same(plain, ours, torch.randn(batch, channels, height, width))


@settings(max_examples=150)
@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.sampled_from([1, 2, 3, 5]), st.sampled_from([1, 3])),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
    st.booleans(),
    st.booleans(),
)
def test_dense_convolutions_are_those_of_torch(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    bias: bool,
    last: bool,
) -> None:
    if any(s + 2 * p < k for s, p, k in zip(size, padding, kernel, strict=True)):
        return  # no output
    plain, ours = (kind(5, 4, kernel, stride, padding, bias=bias) for kind in (nn.Conv2d, SmallMapConv))
    images = torch.randn(3, 5, *size)
    same(plain, ours, images.contiguous(memory_format=torch.channels_last) if last else images)


@pytest.mark.parametrize(("size", "kernel", "whole"), [(1, 3, True), (2, 3, True), (2, 5, True), (3, 3, False)])
def test_kernels_that_reach_across_a_map_are_one_product(size: int, kernel: int, whole: bool) -> None:
    layer = SmallMapConv(2, 3, kernel, padding=kernel // 2, bias=False)
    with torch.profiler.profile() as seen:
        layer(torch.randn(2, 2, size, size))
    assert any("convolution" in event.key for event in seen.key_averages()) != whole


@pytest.mark.parametrize("pixels", [32, 20])
@pytest.mark.parametrize(("arch", "kind", "count"), [(MOBILE, SmallMapDepthwise, 7), (FIRE, SmallMapConv, 19)])
def test_a_quickened_network_computes_the_same_under_the_same_names(
    arch: Arch, kind: type[nn.Module], count: int, pixels: int
) -> None:
    torch.manual_seed(0)
    network = build(arch.at(pixels), 3, 10).train()
    images = torch.randn(4, 3, pixels, pixels)
    expected, names = network(images), list(network.state_dict())
    device.place(network, torch.device("cpu"))
    assert sum(isinstance(m, kind) for m in network.modules()) == count
    assert list(network.state_dict()) == names
    torch.testing.assert_close(network(images), expected, atol=1e-4, rtol=1e-4)


def test_each_kind_takes_its_own() -> None:
    layers = nn.Sequential(nn.Conv2d(4, 8, 3, groups=4), nn.Conv2d(8, 8, 3, groups=2), nn.Conv2d(3, 3, 3, dilation=2))
    dense, deep = nn.Conv2d(1, 1, 3), nn.Conv2d(4, 4, 3, groups=4)
    everything = nn.Sequential(*layers, dense, deep)
    depthwise.quicken(everything)
    small_maps.quicken(everything)
    assert all(type(layer) is nn.Conv2d for layer in layers)
    assert (type(dense), type(deep)) == (SmallMapConv, SmallMapDepthwise)


def test_fvcore_counts_the_network_before_it_is_quickened() -> None:
    network = build(MOBILE, 3, 10)
    assert flops(network, 3, 32) == cost(MOBILE, 3, 10).flops


def test_depthwise_convolutions_keep_to_fp32_where_the_rest_is_bf16() -> None:
    ours = SmallMapDepthwise(6, 6, 3, padding=1, groups=6, bias=False)
    images = torch.randn(2, 6, 8, 8)
    with device.autocast(torch.device("cpu"), "bf16"):
        found = ours(images.bfloat16())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, ours(images.bfloat16().float()), atol=0, rtol=0)
