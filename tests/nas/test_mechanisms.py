"""What the papers' blocks compute, against torch code written here after the papers' own figures.

The judges read weights by name and use `torch.nn` alone. Whole networks against torchvision and timm are in
`test_zoo.py`, shapes and costs in `tests/search_spaces/test_systems.py`.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil, floor

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from nas.build import build, module
from search_spaces import zoo
from search_spaces.arch import Arch, Stage
from search_spaces.blocks.aux_head import AuxHead
from search_spaces.blocks.bottleneck import Bottleneck
from search_spaces.blocks.conv_head import ConvHead
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.dense import Dense
from search_spaces.blocks.depthwise_separable import DepthwiseSeparable
from search_spaces.blocks.fc_head import FcHead
from search_spaces.blocks.fire import Fire
from search_spaces.blocks.inception import Inception
from search_spaces.blocks.inverted_residual import InvertedResidual
from search_spaces.blocks.mlpconv import Mlpconv
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.blocks.resnext import Resnext
from search_spaces.blocks.shuffle_unit import ShuffleUnit
from search_spaces.blocks.spp_head import SppHead
from search_spaces.cost import layer_cost
from search_spaces.layers import (
    Act,
    BatchNorm,
    Conv,
    Layer,
    MaxPool,
    Shape,
    Shuffle,
    add,
    chain,
    concat,
    conv_norm,
    conv_norm_act,
    shortcut,
)
from search_spaces.part import Head

State = dict[str, Tensor]
EXACT = settings(deadline=None, derandomize=True, max_examples=60)


def image(shape: Shape, n: int = 2) -> Tensor:
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(1))


def lively(layer: Layer, shape: Shape) -> nn.Module:
    """The module in eval mode, with nothing in it 0 or 1: weights, biases and running statistics are random."""
    torch.manual_seed(0)
    network = module(layer, shape).eval()
    for name, value in network.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif value.is_floating_point() and value.dim() == 1:
            value.normal_()
    return network


def conv(state: State, name: str, x: Tensor, stride: int = 1, groups: int = 1, act: str = "relu") -> Tensor:
    """Convolution, batch norm where the weights have one, activation: by names and `torch.nn.functional`."""
    weight, bias = state[f"{name}.conv.weight"], state.get(f"{name}.conv.bias")
    x = F.conv2d(x, weight, bias, stride, weight.shape[-1] // 2, groups=groups)
    x = norm(state, f"{name}.norm", x) if f"{name}.norm.weight" in state else x
    return x if act == "none" else getattr(F, act)(x)


def norm(state: State, name: str, x: Tensor) -> Tensor:
    """Batch norm in eval mode, spelled out."""
    mean, var, scale, shift = (
        state[f"{name}.{leaf}"].view(-1, 1, 1) for leaf in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (var + 1e-5).sqrt() * scale + shift


def same(ours: Tensor, judge: Tensor) -> bool:
    """Within 1e-5 of the largest output; all-zero outputs would be no evidence."""
    assert ours.shape == judge.shape
    assert judge.abs().max() > 0
    return bool((ours - judge).abs().max() <= 1e-5 * max(1.0, float(judge.detach().abs().max())))


def is_affine(f: nn.Module, shape: Shape) -> bool:
    """Whether f(a) + f(b) = f(a + b) + f(0)."""
    a, b = image(shape, 4).chunk(2)
    return bool(torch.allclose(f(a) + f(b), f(a + b) + f(torch.zeros_like(a)), atol=1e-4))


# ------------------------------------------------------------ 1×1 convolutions: NiN, GoogLeNet's bottleneck


def test_a_1x1_convolution_is_a_fully_connected_layer_at_each_pixel() -> None:
    """32 filters of 1×1×192 on 28×28×192, pixel by pixel through one `nn.Linear`."""
    shape = Shape(192, 28, 28)
    convolution, linear, x = lively(Conv(32, bias=True), shape), nn.Linear(192, 32), image(shape, 1)
    linear.load_state_dict({name: value.view(linear.state_dict()[name].shape) for name, value in _state(convolution)})
    judge = torch.empty(1, 32, 28, 28)
    with torch.no_grad():
        for row in range(28):
            for column in range(28):
                judge[:, :, row, column] = linear(x[:, :, row, column])
        assert same(convolution(x), judge)


def _state(network: nn.Module) -> list[tuple[str, Tensor]]:
    return list(network.state_dict().items())


def test_the_naive_inception_module_concatenates_its_branches_to_28x28x256() -> None:
    """Same pooling, stride 1: the largest of the nine pixels around each, as far as there are nine."""
    shape = Shape(192, 28, 28)
    layer = concat(Conv(64), Conv(128, 3), Conv(32, 5), chain(MaxPool(3, 1, 1), Conv(32)))
    network, x = lively(layer, shape), image(shape, 1)
    one, three, five, pooled = (value for _, value in _state(network))
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
    s = dict(_state(network))
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
    s = dict(_state(network))
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
    s = dict(_state(network))
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
    s = dict(_state(network))
    inner = "fire." if any(name.startswith("fire.") for name in s) else ""
    squeezed = conv(s, f"{inner}squeeze", x)
    judge = torch.cat([conv(s, f"{inner}expand.one", squeezed), conv(s, f"{inner}expand.three", squeezed)], 1)
    if bypass != "none" and before == 16:
        judge = judge + x
    elif bypass == "complex":
        judge = judge + F.conv2d(x, s["bypass.weight"], s["bypass.bias"])
    assert squeezed.shape == (2, 4, 7, 6)
    assert same(network(x), judge)


# ------------------------------------------------------------- depthwise separable: MobileNet, Xception


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("between", [True, False])
def test_a_depthwise_separable_convolution_filters_each_channel_and_then_mixes(between: bool, stride: int) -> None:
    """Channel by channel with its own filter; MobileNet has a ReLU between, Xception has none."""
    shape = Shape(5, 9, 8)
    network, x = lively(DepthwiseSeparable(between=between).layer(5, 7, stride), shape), image(shape)
    s = dict(_state(network))
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
    s = {name.removeprefix("path."): value for name, value in _state(network)}
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
    s = {name.removeprefix("path."): value for name, value in _state(network)}
    hidden = conv(s, "depthwise", conv(s, "expand", x, act="silu"), groups=24, act="silu")
    mean = hidden.mean((2, 3))
    squeezed = F.silu(F.linear(mean, s["se.gate.reduce.weight"].flatten(1), s["se.gate.reduce.bias"]))
    gate = torch.sigmoid(F.linear(squeezed, s["se.gate.expand.weight"].flatten(1), s["se.gate.expand.bias"]))
    assert squeezed.shape == (2, 2)
    assert same(network(x), conv(s, "project", hidden * gate[:, :, None, None], act="none") + x)


# ------------------------------------------------------------------------- ResNet's bottleneck, ResNeXt


@pytest.mark.parametrize(("before", "stride"), [(16, 1), (12, 1), (16, 2)])
@pytest.mark.parametrize("cardinality", [0, 4])
def test_a_residual_bottleneck_adds_its_input_before_the_last_relu(before: int, stride: int, cardinality: int) -> None:
    """ResNet's (cardinality 0 here) and ResNeXt's; the shortcut is projected where shapes differ."""
    block = Resnext(cardinality, 0.5) if cardinality else Bottleneck()
    shape = Shape(before, 8, 7)
    network, x = lively(block.layer(before, 16, stride), shape), image(shape)
    s = {name.removeprefix("residual."): value for name, value in _state(network)}
    middle = "path.grouped" if cardinality else "path.conv"
    hidden = conv(s, middle, conv(s, "path.reduce", x), stride, groups=cardinality or 1)
    kept = x if (before, stride) == (16, 1) else conv(s, "shortcut", x, stride, act="none")
    assert same(network(x), F.relu(conv(s, "path.expand", hidden, act="none") + kept))


C, D = 4, 3  # cardinality, width of a path


def three_forms(before: int, out: int, stride: int) -> dict[str, Layer]:
    """Figure 3 of the paper. (c) is the block itself; batch norm and ReLU follow each convolution in it.

    In (a) the last batch norm is behind the sum of the paths, as the paper has it: one within each path
    would normalise by other statistics.
    """

    def path(**more: Layer) -> Layer:
        return chain(reduce=conv_norm_act(D), grouped=conv_norm_act(D, 3, stride), **more)

    def residual(inner: Layer) -> Layer:
        return chain(residual=add(path=inner, shortcut=shortcut(before, out, stride)), act=Act())

    summed = chain(paths=add(*(path(expand=Conv(out)) for _ in range(C))), norm=BatchNorm())
    return {
        "sum of paths": residual(summed),
        "concatenated paths": residual(chain(paths=concat(*(path() for _ in range(C))), expand=conv_norm(out))),
        "grouped convolution": Resnext(cardinality=C, ratio=C * D / out).layer(before, out, stride),
    }


def share(grouped: State, name: str) -> Tensor:
    """The part of the grouped form's weights that another form has under `name`."""
    if ".paths." not in name:
        return grouped[name.replace("path.norm", "path.expand.norm")]
    front, _, rest = name.partition(".paths.")
    number, _, leaf = rest.partition(".")
    rows = slice(int(number) * D, (int(number) + 1) * D)
    if leaf == "expand.weight":
        return grouped[f"{front}.expand.conv.weight"][:, rows]
    value = grouped[f"{front}.{leaf}"]
    return value[rows] if value.dim() else value


def with_shared_weights(forms: dict[str, Layer], shape: Shape) -> dict[str, nn.Module]:
    networks = {name: lively(form, shape) for name, form in forms.items()}
    grouped = dict(_state(networks["grouped convolution"]))
    for name, network in networks.items():
        if name != "grouped convolution":
            network.load_state_dict({leaf: share(grouped, leaf).clone() for leaf, _ in _state(network)})
    return networks


@pytest.mark.parametrize(("before", "stride"), [(16, 1), (10, 2)])
def test_resnexts_three_forms_compute_one_function(before: int, stride: int) -> None:
    """To 1e-5: in eval mode, in training, and in eval mode again with the statistics that training left."""
    shape = Shape(before, 6, 5)
    networks = with_shared_weights(three_forms(before, 16, stride), shape)
    x, judge = image(shape, 4), networks["grouped convolution"]
    for training in (False, True, False):
        expected = judge.train(training)(x.clone())
        for name, network in networks.items():
            if network is not judge:
                assert same(network.train(training)(x.clone()), expected), (name, training)


@pytest.mark.parametrize(("before", "stride"), [(16, 1), (10, 2)])
def test_resnexts_three_forms_cost_the_same(before: int, stride: int) -> None:
    """In FLOPs, multiply-adds and parameters; the sum of paths alone writes each path's whole output."""
    shape, forms = Shape(before, 6, 6), three_forms(before, 16, stride)
    read = {name: layer_cost(form, shape) for name, form in forms.items()}
    grouped, summed = read["grouped convolution"][1], read["sum of paths"][1]
    out = read["grouped convolution"][0]
    assert {(c.flops, c.macs, c.params) for _, c in read.values()} == {(grouped.flops, grouped.macs, grouped.params)}
    assert read["concatenated paths"][1].activations == grouped.activations
    assert summed.activations - grouped.activations == (C - 1) * out.elements
    inner, projected = C * D, 0 if before == 16 else before * 16
    pixels = out.height * out.width
    assert grouped.macs == 36 * before * inner + pixels * (9 * D * inner + inner * 16 + projected)


# ------------------------------------------------------------------------------------------ ShuffleNet

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
    s = {name.removeprefix("unit."): value for name, value in _state(network)}
    assert same(network(x), F.relu(x + shuffle_path(s, x, (3, 3), 1)))


@pytest.mark.parametrize("first", [0, 1])
def test_a_strided_shufflenet_unit_concatenates_its_average_pooled_input(first: int) -> None:
    """3×3 with stride 2; `first_groups=1` is the network's first unit, whose first 1×1 is not grouped."""
    shape = Shape(12, 8, 7)
    network, x = lively(ShuffleUnit(groups=3, first_groups=first).layer(12, 36, 2), shape), image(shape)
    s = {name.removeprefix("unit."): value for name, value in _state(network)}
    assert s["path.reduce.conv.weight"].shape == (9, 12 if first else 4, 1, 1)
    pooled = F.avg_pool2d(x, 3, 2, 1)
    assert same(network(x), F.relu(torch.cat([pooled, shuffle_path(s, x, (first or 3, 3), 2)], 1)))


# -------------------------------------------------------------------------------------------- DenseNet


@pytest.mark.parametrize("depth", [1, 2, 4, 7])
def test_a_dense_block_of_l_layers_has_l_times_l_plus_1_over_2_direct_connections(depth: int) -> None:
    """Counted: a layer is connected to a map (the input, an earlier layer's) when a change there changes the new one.

    Each layer is run by itself, so that nothing reaches it by way of another.
    """
    k0, k, connections = 6, 4, 0
    network = lively(Dense(depth, k).layer(k0, 16, 1), Shape(k0, 5, 5))
    for number in range(1, depth + 1):
        layer = network.get_submodule(f"layer{number}")
        x = image(Shape(k0 + k * (number - 1), 5, 5))
        starts = [0, *range(k0, x.shape[1], k)]
        assert torch.equal(layer(x.clone())[:, : x.shape[1]], x)  # all maps are handed on as they are
        for start, end in zip(starts, [*starts[1:], x.shape[1]], strict=True):
            changed = x.clone()
            changed[:, start:end] += 1
            connections += not torch.allclose(layer.new(x.clone()), layer.new(changed))
    assert connections == depth * (depth + 1) // 2


@pytest.mark.parametrize("stride", [1, 2])
def test_a_dense_block_is_norm_relu_1x1_norm_relu_3x3_concatenated_then_a_transition(stride: int) -> None:
    """The stride is the average pool behind the transition before."""
    shape = Shape(6, 8, 6)
    network, x = lively(Dense(layers=3, growth=4).layer(6, 9, stride), shape), image(shape)
    s = dict(_state(network))
    maps = F.avg_pool2d(x, 2) if stride == 2 else x
    for name in ("layer1.new", "layer2.new", "layer3.new"):
        inner = F.conv2d(F.relu(norm(s, f"{name}.norm1", maps)), s[f"{name}.conv1.weight"])
        assert inner.shape[1] == 4 * 4
        new = F.conv2d(F.relu(norm(s, f"{name}.norm2", inner)), s[f"{name}.conv.weight"], padding=1)
        maps = torch.cat([maps, new], 1)
    assert maps.shape[1] == 6 + 3 * 4
    judge = F.conv2d(F.relu(norm(s, "transition.norm", maps)), s["transition.conv.weight"])
    assert same(network(x), judge)


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
    s = dict(_state(head))
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
