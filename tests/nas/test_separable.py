"""What depthwise separable convolutions compute: MobileNet's, Xception's, MobileNetV2's and EfficientNet's."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nas.build import build, module
from search_spaces import zoo
from search_spaces.blocks.depthwise_separable import DepthwiseSeparable
from search_spaces.blocks.inverted_residual import InvertedResidual
from search_spaces.layers import Act, Shape
from tests.nas.judging import conv, image, lively, named, norm, same


def is_affine(f: nn.Module, shape: Shape) -> bool:
    """Whether f(a) + f(b) = f(a + b) + f(0)."""
    a, b = image(shape, 4).chunk(2)
    return bool(torch.allclose(f(a) + f(b), f(a + b) + f(torch.zeros_like(a)), atol=1e-4))


# ------------------------------------------------------------- depthwise separable: MobileNet, Xception


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("between", [True, False])
def test_a_depthwise_separable_convolution_filters_each_channel_and_then_mixes(between: bool, stride: int) -> None:
    """Channel by channel with its own filter; MobileNet has a ReLU between, Xception has none."""
    shape = Shape(5, 9, 8)
    network, x = lively(DepthwiseSeparable(between=between).layer(5, 7, stride), shape), image(shape)
    s = dict(named(network))
    filters = s["depthwise.conv.weight"]
    filtered = [F.conv2d(x[:, i : i + 1], filters[i : i + 1], None, stride, 1) for i in range(5)]
    hidden = norm(s, "depthwise.norm", torch.cat(filtered, 1))
    assert hidden.min() < 0
    assert same(network(x), conv(s, "pointwise", F.relu(hidden) if between else hidden))


def test_xceptions_separable_convolution_is_affine_up_to_its_last_activation() -> None:
    shape, found = Shape(6, 8, 8), {}
    for between in (True, False):
        network = lively(DepthwiseSeparable(between=between).layer(6, 4, 1), shape)
        *before, last = network.pointwise.children()
        assert isinstance(last, nn.ReLU)
        found[between] = is_affine(nn.Sequential(network.depthwise, *before), shape)
    assert found == {True: False, False: True}


# ---------------------------------------------------- MobileNetV2's linear bottleneck, EfficientNet's gate


@pytest.mark.parametrize(("out", "stride", "added"), [(8, 1, True), (12, 1, False), (8, 2, False)])
@pytest.mark.parametrize("expand", [1, 6])
def test_an_inverted_residual_expands_filters_and_projects_linearly(
    out: int, stride: int, added: bool, expand: int
) -> None:
    """ReLU6 after the expansion and the depthwise convolution, nothing after the projection or the sum."""
    shape = Shape(8, 9, 9)
    network, x = lively(InvertedResidual(expand=expand).layer(8, out, stride), shape), 4 * image(shape)
    s = {name.removeprefix("path."): value for name, value in named(network)}
    s["depthwise.norm.bias"] *= 8  # of the module too: some values must reach 6
    hidden = conv(s, "expand", x, act="relu6") if expand > 1 else x
    hidden = conv(s, "depthwise", hidden, stride, groups=8 * expand, act="relu6")
    judge = conv(s, "project", hidden, act="none") + (x if added else 0)
    assert (hidden.min(), hidden.max()) == (0, 6)
    assert judge.min() < 0
    assert same(network(x), judge)


def test_relu6_cuts_off_at_0_and_6() -> None:
    x = torch.tensor([-7.0, -0.5, 0.0, 3.5, 6.0, 6.5, 100.0]).view(1, 7, 1, 1)
    expected = [0.0, 0.0, 0.0, 3.5, 6.0, 6.0, 6.0]
    assert module(Act("relu6"), Shape(7, 1, 1))(x).flatten().tolist() == expected


@pytest.mark.parametrize("name", ["mobilenet_v2", "efficientnet_b0"])
def test_bottlenecks_end_linearly(name: str) -> None:
    """The projection of every block is an affine map of the hidden channels."""
    network = build(replace(zoo.find(name).arch, resolution=32), 3, 5).eval()
    projections = {path: part for path, part in network.named_modules() if path.endswith("project")}
    assert len(projections) == {"mobilenet_v2": 17, "efficientnet_b0": 16}[name]
    for path, part in projections.items():
        assert is_affine(part, Shape(part.conv.in_channels, 2, 2)), path


def test_squeeze_excitation_weighs_each_channel_by_what_all_pixels_say() -> None:
    """EfficientNet's: mean, 1×1 to a quarter of the block's input, SiLU, 1×1 back, sigmoid, product."""
    shape = Shape(8, 6, 5)
    network, x = lively(InvertedResidual(expand=3, se=0.25, act="silu").layer(8, 8, 1), shape), image(shape)
    s = {name.removeprefix("path."): value for name, value in named(network)}
    hidden = conv(s, "depthwise", conv(s, "expand", x, act="silu"), groups=24, act="silu")
    mean = hidden.mean((2, 3))
    squeezed = F.silu(F.linear(mean, s["se.gate.reduce.weight"].flatten(1), s["se.gate.reduce.bias"]))
    gate = torch.sigmoid(F.linear(squeezed, s["se.gate.expand.weight"].flatten(1), s["se.gate.expand.bias"]))
    assert squeezed.shape == (2, 2)
    assert same(network(x), conv(s, "project", hidden * gate[:, :, None, None], act="none") + x)
