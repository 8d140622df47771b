"""What ResNet's bottleneck computes, and ResNeXt's three forms, which are one function."""

from __future__ import annotations

import pytest
from torch import Tensor, nn
from torch.nn import functional as F

from search_spaces.blocks.bottleneck import Bottleneck
from search_spaces.blocks.resnext import Resnext
from search_spaces.cost import layer_cost
from search_spaces.layers import (
    Act,
    BatchNorm,
    Conv,
    Layer,
    Shape,
    add,
    chain,
    concat,
    conv_norm,
    conv_norm_act,
    shortcut,
)
from tests.nas.judging import State, conv, image, lively, named, same


@pytest.mark.parametrize(("before", "stride"), [(16, 1), (12, 1), (16, 2)])
@pytest.mark.parametrize("cardinality", [0, 4])
def test_a_residual_bottleneck_adds_its_input_before_the_last_relu(before: int, stride: int, cardinality: int) -> None:
    """ResNet's (cardinality 0 here) and ResNeXt's; the shortcut is projected where shapes differ."""
    block = Resnext(cardinality, 0.5) if cardinality else Bottleneck()
    shape = Shape(before, 8, 7)
    network, x = lively(block.layer(before, 16, stride), shape), image(shape)
    s = {name.removeprefix("residual."): value for name, value in named(network)}
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
    grouped = dict(named(networks["grouped convolution"]))
    for name, network in networks.items():
        if name != "grouped convolution":
            network.load_state_dict({leaf: share(grouped, leaf).clone() for leaf, _ in named(network)})
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
