"""Network in Network and GoogLeNet as numbers: sizes, parameters and operations row by row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import pytest

from search_spaces import zoo
from search_spaces.blocks.aux_head import AuxHead
from search_spaces.blocks.inception import Inception
from search_spaces.cost import Row, cost, ledger
from search_spaces.layers import (
    Act,
    AdaptivePool,
    Chain,
    Combinator,
    Conv,
    Dropout,
    Layer,
    Linear,
    MaxPool,
    Shape,
    chain,
)
from tests.search_spaces.systems import blocks, leaves, of, of_arch, unshaped

# --------------------------------------------------------------------------------- Network in Network


def steps(layer: Layer, shape: Shape) -> Iterator[tuple[Layer, Shape]]:
    """Each part of a chain with what it makes."""
    assert isinstance(layer, Chain)
    for part in layer.layers:
        shape = part.out(shape)
        yield part, shape


def test_network_in_network_is_54_26_26_12_12_5_5_5_and_1_pixels_wide() -> None:
    """Four mlpconvs, the three pools between them, dropout before the last, and the global pool."""
    arch = zoo.find("nin").arch
    assert arch.resolution == 224
    shape = arch.stem.layer(1).out(Shape(1, 224, 224))
    shapes = [shape]
    for _, layer, before in blocks(arch, in_channels=1):
        assert before == shapes[-1]
        shapes.append(layer.out(before))
    head = list(steps(arch.head.layer(384, 10), shapes[-1]))
    dropped = next(out for part, out in head if isinstance(part, Dropout))
    pooled = next(i for i, (part, _) in enumerate(head) if isinstance(part, AdaptivePool))
    shapes += [dropped, head[pooled - 1][1], head[pooled][1]]
    assert [s.height for s in shapes] == [s.width for s in shapes] == [54, 26, 26, 12, 12, 5, 5, 5, 1]
    assert [s.channels for s in shapes] == [96, 96, 256, 256, 384, 384, 384, 10, 10]


def test_network_in_network_has_no_fully_connected_layer() -> None:
    read = [leaf for leaf, _ in of_arch(zoo.find("nin").arch, in_channels=1)]
    assert not any(isinstance(leaf, Linear) for leaf in read)
    assert [leaf.p for leaf in read if isinstance(leaf, Dropout)] == [0.5]


def test_network_in_networks_mlpconvs_are_a_convolution_and_two_1x1_each_with_relu() -> None:
    read = [leaf for leaf, _ in of_arch(zoo.find("nin").arch, in_channels=1)]
    learned = [leaf for leaf in read if isinstance(leaf, Conv)]
    assert [(c.kernel, c.stride, c.pad) for c in learned[::3]] == [(11, 4, 0), (5, 1, 2), (3, 1, 1), (3, 1, 1)]
    assert [c.kernel for i, c in enumerate(learned) if i % 3] == [1] * 8
    assert [c.channels for c in learned] == [96] * 3 + [256] * 3 + [384] * 3 + [1000] * 3
    for here, after in pairwise(read):
        assert not isinstance(here, Conv) or after == Act("relu")


def test_network_in_networks_dropout_stands_before_the_last_mlpconv() -> None:
    read = [type(leaf).__name__ for leaf, _ in of_arch(zoo.find("nin").arch, in_channels=1)]
    assert read[-10:] == ["MaxPool", "Dropout", *["Conv", "Act"] * 3, "AdaptivePool", "Flatten"]
    assert [leaf for leaf, _ in of_arch(zoo.find("nin").arch, 1) if isinstance(leaf, MaxPool)] == [MaxPool(3, 2, 0)] * 3


def test_network_in_networks_parameters_by_hand() -> None:
    """k·k·in·out + out, then out² + out twice."""

    def mlpconv(m: int, n: int, k: int) -> int:
        return k * k * m * n + n + 2 * (n * n + n)

    by_hand = mlpconv(1, 96, 11) + mlpconv(96, 256, 5) + mlpconv(256, 384, 3) + mlpconv(384, 1000, 3)
    assert zoo.find("nin").cost.params == by_hand == 7_416_376


# ------------------------------------------------------------------------------------------- GoogLeNet

# Table 1 of the paper: output size, the six widths, parameters in thousands and operations in millions.
SZEGEDY = {
    "3a": ((256, 28), (64, 96, 128, 16, 32, 32), 159, 128),
    "3b": ((480, 28), (128, 128, 192, 32, 96, 64), 380, 304),
    "4a": ((512, 14), (192, 96, 208, 16, 48, 64), 364, 73),
    "4b": ((512, 14), (160, 112, 224, 24, 64, 64), 437, 88),
    "4c": ((512, 14), (128, 128, 256, 24, 64, 64), 463, 100),
    "4d": ((528, 14), (112, 144, 288, 32, 64, 64), 580, 119),
    "4e": ((832, 14), (256, 160, 320, 32, 128, 128), 840, 170),
    "5a": ((832, 7), (256, 160, 320, 32, 128, 128), 1072, 54),
    "5b": ((1024, 7), (384, 192, 384, 48, 128, 128), 1388, 71),
}
READ = {"3a": 192, "3b": 256, "4a": 480, "4b": 512, "4c": 512, "4d": 512, "4e": 528, "5a": 832, "5b": 832}
# What the printed widths really have, in units of 1024 weights without biases.
WEIGHTS = dict(zip(SZEGEDY, (159.5, 379.0, 366.75, 438.0, 497.5, 590.5, 847.0, 1018.0, 1409.0), strict=True))


@lru_cache(maxsize=1)
def googlenet() -> dict[str, Row]:
    """The ledger's rows under the table's names; pools are left out."""
    rows = [row for row in ledger(zoo.find("googlenet").arch) if "max_pool" not in row.text]
    return dict(zip(("conv1", "reduce2", "conv2", *SZEGEDY, "linear"), rows, strict=True))


def test_the_rows_of_googlenets_table_have_its_output_sizes() -> None:
    arch, shape = zoo.find("googlenet").arch, Shape(3, 224, 224)
    outputs = [row.output for row in ledger(arch)]
    assert outputs[:5] == [(64, 112, 112), (64, 56, 56), (64, 56, 56), (192, 56, 56), (192, 28, 28)]
    assert outputs[7] == (480, 14, 14)
    assert outputs[13] == (832, 7, 7)
    for name, ((channels, size), _, _, _) in SZEGEDY.items():
        assert googlenet()[name].input == (READ[name], size, size)
        assert googlenet()[name].output == (channels, size, size)
    pools = [(before, leaf.out(before)) for leaf, before in leaves(arch.layer(), shape) if isinstance(leaf, MaxPool)]
    assert [(a.height, b.height) for a, b in pools if a != b] == [(112, 56), (56, 28), (28, 14), (14, 7)]
    assert next(leaf for leaf, _ in of_arch(arch) if isinstance(leaf, AdaptivePool)) == AdaptivePool(1)


@pytest.mark.parametrize("name", SZEGEDY)
def test_an_inception_module_of_googlenet_has_the_weights_of_its_printed_widths(name: str) -> None:
    """Branch by branch by hand; the paper's K is 1024 and leaves out biases, of which there is one a filter.

    Of the printed column only 3a is reached: 159.5. The other figures do not follow from the widths
    printed beside them, by up to 7 % either way (4c and 5a); they contradict the table's own operations
    too, which are weights times pixels (4c: 463·1024·14² is 93M where 100M is printed).
    """
    one, reduce3, three, reduce5, five, pooled = SZEGEDY[name][1]
    m = READ[name]
    by_hand = m * (one + reduce3 + reduce5 + pooled) + 9 * reduce3 * three + 25 * reduce5 * five
    biases = one + reduce3 + three + reduce5 + five + pooled
    assert googlenet()[name].cost.params == by_hand + biases
    assert by_hand == WEIGHTS[name] * 1024
    assert SZEGEDY[name][2] == pytest.approx(WEIGHTS[name], rel=0.075)
    assert (abs(SZEGEDY[name][2] - WEIGHTS[name]) < 1) == (name == "3a")


@pytest.mark.parametrize("name", [name for name in SZEGEDY if name != "5a"])
def test_an_inception_module_of_googlenet_takes_the_printed_operations(name: str) -> None:
    """In millions, to the last digit, rounded or cut off."""
    (_, size), _, _, printed = SZEGEDY[name]
    assert googlenet()[name].cost.macs == WEIGHTS[name] * 1024 * size**2
    assert abs(googlenet()[name].cost.macs / 1e6 - printed) < 1


def test_googlenets_5a_takes_51_million_operations_where_54_is_printed() -> None:
    """The row agrees with itself (1072·1024·7² is 53.8M) and not with its widths, which are those of 4e."""
    assert round(1072 * 1024 * 49 / 1e6) == SZEGEDY["5a"][3] == 54
    assert SZEGEDY["5a"][1] == SZEGEDY["4e"][1]
    assert googlenet()["5a"].cost.macs == 1018 * 1024 * 49 == 51_079_168


def test_googlenets_3x3_row_has_112k_parameters_and_360m_operations() -> None:
    """1×1 to 64 and 3×3 to 192 make 112·1024 weights exactly."""
    both = googlenet()["reduce2"].cost + googlenet()["conv2"].cost
    assert both.params - (64 + 192) == 112 * 1024
    assert both.macs == 112 * 1024 * 56**2
    assert round(both.macs / 1e6) == 360


def test_googlenets_linear_row_has_1000k_parameters_and_1m_operations() -> None:
    linear = googlenet()["linear"].cost
    assert linear.params - 1000 == 1000 * 1024
    assert linear.macs == 1_024_000


def test_googlenets_7x7_row_is_that_of_a_separable_convolution() -> None:
    """2.7K parameters and 34M operations are printed; a full 7×7 convolution to 64 channels has 9,408 and 118M.

    Both figures are exact for 8 depthwise filters a colour, then 1×1 to 64: 2,712 weights at 112² pixels.
    The zoo has the full one, as the row's words say (7×7, stride 2) and later implementations do.
    """
    first = googlenet()["conv1"].cost
    assert first.params - 64 == 7 * 7 * 3 * 64 == 9_408
    assert first.macs == 9_408 * 112**2 == 118_013_952
    separable = of(chain(Conv(24, 7, stride=2, groups=3), Conv(64)), 3, 224, 224)
    assert separable.params == 49 * 24 + 24 * 64 == 2_712
    assert round(separable.macs / 1e6) == 34


def test_googlenet_is_22_layers_deep() -> None:
    """Layers with parameters on the longest way through; 27 with pools, as the paper says."""
    assert longest(zoo.find("googlenet").arch.layer(), (Conv, Linear)) == 22
    assert longest(zoo.find("googlenet").arch.layer(), (Conv, Linear), (MaxPool, AdaptivePool)) == 27


def longest(layer: Layer, counted: tuple[type[Layer], ...], between: tuple[type[Layer], ...] = ()) -> int:
    """Leaves of these kinds on the longest way; `between` counts where it stands in the trunk alone."""
    if isinstance(layer, Chain):
        return sum(longest(part, counted, between) for part in layer.layers)
    if isinstance(layer, Combinator):
        return max(longest(part, counted) for part in layer.layers)
    return int(isinstance(layer, counted + between))


def test_googlenets_auxiliary_classifiers_follow_4a_and_4d_and_weigh_0_3() -> None:
    inceptions = [stage for stage in zoo.find("googlenet").arch.stages if isinstance(stage.block, Inception)]
    beside = {name: stage.aux for name, stage in zip(SZEGEDY, inceptions, strict=True) if stage.aux}
    assert list(beside) == ["4a", "4d"]
    assert [aux.weight for aux in beside.values()] == [0.3, 0.3]


@pytest.mark.parametrize("channels", [512, 528])
def test_an_auxiliary_classifier_has_the_papers_layers(channels: int) -> None:
    """Section 5: pooled to 4×4, 128 of 1×1, 1024 units, 70 % dropout, 1000 classes."""
    layer, shape = AuxHead().layer(channels, 1000), Shape(channels, 14, 14)
    assert next(out for _, out in steps(layer, shape)) == Shape(channels, 4, 4)
    learned = [leaf for leaf in unshaped(layer) if isinstance(leaf, (Conv, Linear, Dropout))]
    assert learned == [Conv(128, bias=True), Linear(1024), Dropout(0.7), Linear(1000)]
    by_hand = (channels + 1) * 128 + (128 * 16 + 1) * 1024 + 1025 * 1000
    assert of(layer, *shape).params == by_hand


def test_googlenets_auxiliary_classifiers_are_not_in_its_cost() -> None:
    network = zoo.find("googlenet")
    without = replace(network.arch, stages=tuple(replace(stage, aux=None) for stage in network.arch.stages))
    assert str(without) != str(network.arch)
    assert cost(without) == network.cost
    assert network.arch.layer() == without.layer()
