"""What 1×1 convolutions and the blocks built on them compute: Network in Network's, GoogLeNet's, SqueezeNet's."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nas.build import build
from search_spaces import zoo
from search_spaces.blocks.aux_head import AuxHead
from search_spaces.blocks.conv_head import ConvHead
from search_spaces.blocks.fire import Fire
from search_spaces.blocks.inception import Inception
from search_spaces.blocks.mlpconv import Mlpconv
from search_spaces.layers import Conv, MaxPool, Shape, chain, concat
from tests.nas.judging import conv, image, lively, named, same

# ------------------------------------------------------------ 1×1 convolutions: NiN, GoogLeNet's bottleneck


def test_a_1x1_convolution_is_a_fully_connected_layer_at_each_pixel() -> None:
    """32 filters of 1×1×192 on 28×28×192, pixel by pixel through one `nn.Linear`."""
    shape = Shape(192, 28, 28)
    convolution, linear, x = lively(Conv(32, bias=True), shape), nn.Linear(192, 32), image(shape, 1)
    linear.load_state_dict({name: value.view(linear.state_dict()[name].shape) for name, value in named(convolution)})
    judge = torch.empty(1, 32, 28, 28)
    with torch.no_grad():
        for row in range(28):
            for column in range(28):
                judge[:, :, row, column] = linear(x[:, :, row, column])
        assert same(convolution(x), judge)


def test_the_naive_inception_module_concatenates_its_branches_to_28x28x256() -> None:
    """Same pooling, stride 1: the largest of the nine pixels around each, as far as there are nine."""
    shape = Shape(192, 28, 28)
    layer = concat(Conv(64), Conv(128, 3), Conv(32, 5), chain(MaxPool(3, 1, 1), Conv(32)))
    network, x = lively(layer, shape), image(shape, 1)
    one, three, five, pooled = (value for _, value in named(network))
    around = F.pad(x, (1, 1, 1, 1), value=float("-inf"))
    shifted = [around[:, :, i : i + 28, j : j + 28] for i in range(3) for j in range(3)]
    branches = [F.conv2d(x, one), F.conv2d(x, three, padding=1), F.conv2d(x, five, padding=2)]
    judge = torch.cat([*branches, F.conv2d(torch.stack(shifted).amax(0), pooled)], 1)
    assert judge.shape == (1, 256, 28, 28)
    assert same(network(x), judge)


@pytest.mark.parametrize("norm", [False, True])
def test_an_inception_module_concatenates_four_branches(norm: bool) -> None:
    """1×1; 1×1 → 3×3; 1×1 → 5×5; pool → 1×1; in this order, each convolution with ReLU."""
    shape = Shape(12, 9, 8)
    network, x = lively(Inception(widths=(4, 3, 6, 2, 5, 7), norm=norm).layer(12, 22, 1), shape), image(shape)
    s = dict(named(network))
    judge = [
        conv(s, "one", x),
        conv(s, "three.conv", conv(s, "three.reduce", x)),
        conv(s, "five.conv", conv(s, "five.reduce", x)),
        conv(s, "pool.conv", F.max_pool2d(x, 3, 1, 1)),
    ]
    assert s["five.conv.conv.weight"].shape == (5, 2, 5, 5)
    assert same(network(x), torch.cat(judge, 1))


def test_an_mlpconv_is_a_multilayer_perceptron_at_every_pixel() -> None:
    """k×k convolution and ReLU, then linear, ReLU, linear, ReLU over the channels of each pixel."""
    shape = Shape(3, 9, 7)
    network, x = lively(Mlpconv(kernel=5, norm=False).layer(3, 8, 1), shape), image(shape)
    s = dict(named(network))
    pixels = conv(s, "conv", x).movedim(1, -1)
    for name in ("mix1", "mix2"):
        pixels = F.relu(F.linear(pixels, s[f"{name}.conv.weight"].flatten(1), s[f"{name}.conv.bias"]))
    assert same(network(x), pixels.movedim(-1, 1))


# ---------------------------------------------------------------------------- Network in Network, whole


def independent_nin(classes: int) -> nn.Sequential:
    """Written after the paper's figure 2 for 224×224×1 images."""

    def mlpconv(m: int, n: int, kernel: int, stride: int, padding: int) -> list[nn.Module]:
        first = nn.Conv2d(m, n, kernel, stride, padding)
        return [first, nn.ReLU(), nn.Conv2d(n, n, 1), nn.ReLU(), nn.Conv2d(n, n, 1), nn.ReLU()]

    return nn.Sequential(
        *mlpconv(1, 96, 11, 4, 0),
        nn.MaxPool2d(3, 2),
        *mlpconv(96, 256, 5, 1, 2),
        nn.MaxPool2d(3, 2),
        *mlpconv(256, 384, 3, 1, 1),
        nn.MaxPool2d(3, 2),
        nn.Dropout(0.5),
        *mlpconv(384, classes, 3, 1, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


def test_network_in_network_computes_what_an_independent_one_does() -> None:
    """Equal parameters, shape by shape, and equal logits with its weights; nothing is fully connected."""
    ours, judge = build(zoo.find("nin").arch, 1, 10).eval(), independent_nin(10).eval()
    for weight in judge.parameters():
        nn.init.kaiming_normal_(weight) if weight.dim() > 1 else nn.init.uniform_(weight, 0, 0.1)
    names, values = list(ours.state_dict()), list(judge.state_dict().values())
    ours.load_state_dict(dict(zip(names, values, strict=True)))
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in judge.parameters()) == 1_992_166
    assert not any(isinstance(part, nn.Linear) for part in ours.modules())
    x = image(Shape(1, 224, 224))
    with torch.no_grad():
        assert same(ours(x), judge(x))


def test_network_in_networks_maps_are_54_26_26_12_12_5_5_5_and_1_wide() -> None:
    """As torch makes them; the head is dropout, the last mlpconv, global pooling."""
    network, widths = build(zoo.find("nin").arch, 1, 10).eval(), []
    for part in network.modules():
        whole = part in list(network)[:-1] or isinstance(part, (nn.Dropout, nn.AdaptiveAvgPool2d))
        if whole or part is network.head.mix2_act:
            part.register_forward_hook(lambda _, __, output: widths.append(output.shape[-1]))
    with torch.no_grad():
        network(image(Shape(1, 224, 224), 1))
    assert widths == [54, 26, 26, 12, 12, 5, 5, 5, 1]


def test_network_in_networks_dropout_drops_half_and_only_in_training() -> None:
    head = lively(ConvHead(kernel=3, hidden=True).layer(8, 4), Shape(8, 5, 5))
    x = torch.ones(1, 8, 100, 100)
    assert (head.train().dropout(x) == 0).float().mean() == pytest.approx(0.5, abs=0.01)
    assert torch.equal(head.eval().dropout(x), x)


# --------------------------------------------------------------- GoogLeNet's auxiliary classifiers


def test_an_auxiliary_classifier_pools_mixes_and_classifies() -> None:
    """To 4×4 as torchvision pools: 14 pixels in cells of 4, where the paper's windows are 5 wide and move by 3."""
    shape = Shape(16, 14, 14)
    network, x = lively(AuxHead(width=8, hidden=12).layer(16, 5), shape), image(shape)
    s = dict(named(network))
    vector = conv(s, "conv", F.adaptive_avg_pool2d(x, 4)).flatten(1)
    hidden = F.relu(F.linear(vector, s["hidden1.linear.weight"], s["hidden1.linear.bias"]))
    assert hidden.shape == (2, 12)
    assert same(network(x), F.linear(hidden, s["classifier.weight"], s["classifier.bias"]))


def test_googlenets_auxiliary_classifiers_are_not_built() -> None:
    """With or without them, `build` makes the same network, of the parameters that cost counts."""
    arch = zoo.find("googlenet").arch
    without = replace(arch, stages=tuple(replace(stage, aux=None) for stage in arch.stages))
    built = [build(each, 3, 7).state_dict() for each in (arch, without)]
    assert [(n, v.shape) for n, v in built[0].items()] == [(n, v.shape) for n, v in built[1].items()]
    assert sum(v.numel() for v in built[0].values()) == 6_998_552 - 993 * 1025


# --------------------------------------------------------------------------------------- SqueezeNet


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize(
    ("bypass", "before"), [("none", 16), ("simple", 16), ("simple", 12), ("complex", 16), ("complex", 12)]
)
def test_a_fire_module_squeezes_expands_and_is_bypassed_where_shapes_allow(
    bypass: str, before: int, norm: bool
) -> None:
    shape = Shape(before, 7, 6)
    network, x = lively(Fire(squeeze=0.25, bypass=bypass, norm=norm).layer(before, 16, 1), shape), image(shape)
    s = dict(named(network))
    inner = "fire." if any(name.startswith("fire.") for name in s) else ""
    squeezed = conv(s, f"{inner}squeeze", x)
    judge = torch.cat([conv(s, f"{inner}expand.one", squeezed), conv(s, f"{inner}expand.three", squeezed)], 1)
    if bypass != "none" and before == 16:
        judge = judge + x
    elif bypass == "complex":
        judge = judge + F.conv2d(x, s["bypass.weight"], s["bypass.bias"])
    assert squeezed.shape == (2, 4, 7, 6)
    assert same(network(x), judge)
