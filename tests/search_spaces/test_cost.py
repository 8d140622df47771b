"""The exact cost against fvcore, against itself and against small sums by hand."""

import random
import warnings
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.build import build
from nas.profile import profile
from search_spaces.arch import Arch
from search_spaces.cost import Cost, cost, layer_cost, ledger, uncounted
from search_spaces.errors import ArchError
from search_spaces.layers import (
    Act,
    AdaptivePool,
    AvgPool,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    Identity,
    Layer,
    Linear,
    MaxPool,
    Shape,
    Shuffle,
    add,
    chain,
    concat,
    multiply,
    squeeze_excite,
)
from search_spaces.spaces import find, names
from tests.search_spaces.test_arch import MOBILENET_V2
from tests.strategies import archs

SHAPE = Shape(4, 6, 5)  # 120 elements, which the sums by hand below call x


def of(layer: Layer, shape: Shape = SHAPE) -> Cost:
    return layer_cost(layer, shape)[1]


# --------------------------------------------------------------------------------------- fvcore


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("name", names())
def test_random_networks_cost_what_fvcore_says(name: str, number: int) -> None:
    rng = random.Random(f"{name} {number}")
    arch = find(name).sample(rng).at(rng.choice((65, 71, 77, 83)))
    in_channels, num_classes = rng.choice((1, 3)), rng.choice((2, 10, 100))
    judged = profile(build(arch, in_channels, num_classes), in_channels, arch.resolution)
    assert judged.agrees(cost(arch, in_channels, num_classes))


@pytest.mark.parametrize("name", names())
def test_macs_are_fvcores_convolutions_and_linear_layers(name: str) -> None:
    arch = find(name).sample(random.Random(name)).at(67)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fvcore imports and traces with deprecated calls
        from fvcore.nn import FlopCountAnalysis

        counted = FlopCountAnalysis(build(arch, 3, 10).eval(), torch.zeros(1, 3, 67, 67))
        by_operator = counted.unsupported_ops_warnings(False).uncalled_modules_warnings(False).by_operator()
    assert cost(arch, 3, 10).macs == by_operator["conv"] + by_operator["linear"]


# -------------------------------------------------------------------------------------- the ledger


@given(archs(), st.sampled_from((1, 3)), st.sampled_from((2, 1000)))
def test_the_ledger_sums_to_the_cost(arch: Arch, in_channels: int, num_classes: int) -> None:
    rows = ledger(arch, in_channels, num_classes)
    assert sum((row.cost for row in rows), Cost()) == cost(arch, in_channels, num_classes)
    assert len(rows) == arch.depth + 2
    for before, after in pairwise(rows):
        assert before.output == after.input
    assert rows[0].input == Shape(in_channels, arch.resolution, arch.resolution)
    assert rows[-1].output == Shape(num_classes, 1, 1)


@given(archs())
def test_the_whole_network_as_one_layer_costs_the_same(arch: Arch) -> None:
    """Parts one after another lose no peak: a chain of parts frees what it has read."""
    shape = Shape(3, arch.resolution, arch.resolution)
    assert layer_cost(arch.layer(), shape)[1] == cost(arch)


def test_ledger_rows_are_named_after_their_place() -> None:
    rows = ledger(Arch.parse("r32 | conv_stem(width=8) | fire c16 n2 | fire(squeeze=0.5) c16 s2 | pool_head"))
    assert [row.name for row in rows] == ["stem", "stage1.0", "stage1.1", "stage2.0", "head"]
    assert [row.text for row in rows][1:4] == ["fire", "fire", "fire(squeeze=0.5)"]


def test_what_does_not_fit_is_said_with_its_place() -> None:
    arch = Arch.parse(
        "r16 | conv_stem(width=8, stride=8) | fire c16 | max_pool(valid=true, ceil=true) c16 s2 | pool_head"
    )
    assert cost(arch).flops > 0
    with pytest.raises(ArchError, match=r"stage2\.0 \(max_pool\(valid=true, ceil=true\)\): a feature map must stay"):
        ledger(arch.at(8))
    with pytest.raises(ArchError, match="must stay at least 1×1"):
        cost(arch.at(8))


# -------------------------------------------------------------------------------------- properties


@given(archs("mobile", "shuffle", "grouped", "mixed"))
def test_params_do_not_depend_on_the_resolution(arch: Arch) -> None:
    assert cost(arch.at(97)).params == cost(arch).params


@settings(max_examples=50)
@given(archs("mobile", "shuffle", "grouped"))
def test_twice_the_resolution_is_four_times_the_multiply_adds(arch: Arch) -> None:
    """Exactly so before the head, where every size divides; squeeze-excitation works on 1×1 maps."""
    small, large = (ledger(arch.at(resolution)) for resolution in (128, 256))
    for one, four in zip(small[:-1], large[:-1], strict=True):
        if "se=" not in one.text:
            assert four.cost.macs == 4 * one.cost.macs
            assert four.cost.flops == 4 * one.cost.flops


@given(archs())
def test_every_number_is_in_its_order(arch: Arch) -> None:
    read = cost(arch)
    assert 0 < read.macs <= read.flops
    assert read.size_bytes == 4 * read.params
    assert read.activations > 0
    assert max(max(r.input.elements, r.output.elements) for r in ledger(arch)) <= read.peak_activations


@given(archs("mobile"))
def test_more_classes_cost_their_column_of_the_classifier(arch: Arch) -> None:
    ten, eleven = cost(arch, num_classes=10), cost(arch, num_classes=11)
    assert isinstance(arch.head.layer(8, 10), Layer)
    width = arch.head.width  # type: ignore[attr-defined]
    assert eleven.params - ten.params == width + 1
    assert eleven.macs - ten.macs == eleven.flops - ten.flops == width
    assert eleven.activations - ten.activations == 1


# ----------------------------------------------------------------------------------- leaves by hand


@pytest.mark.parametrize(
    ("layer", "flops", "macs", "params", "activations"),
    [
        (Conv(8, 3), 8 * 4 * 9 * 30, 8 * 4 * 9 * 30, 8 * 4 * 9, 240),
        (Conv(8, 3, bias=True), 8 * 4 * 9 * 30, 8 * 4 * 9 * 30, 8 * 4 * 9 + 8, 240),
        (Conv(8, 3, groups=4), 8 * 9 * 30, 8 * 9 * 30, 8 * 9, 240),
        (Conv(8, 3, stride=2), 8 * 4 * 9 * 9, 8 * 4 * 9 * 9, 8 * 4 * 9, 72),
        (chain(Flatten(), Linear(7)), 840, 840, 847, 7),
        (chain(Flatten(), Linear(7, bias=False)), 840, 840, 840, 7),
        (BatchNorm(), 240, 0, 8, 0),
        (AdaptivePool(1), 120, 0, 0, 0),
        (AdaptivePool(1, maximum=True), 0, 0, 0, 0),
        (MaxPool(), 0, 0, 0, 0),
        (AvgPool(), 0, 0, 0, 0),
        (Act(), 0, 0, 0, 0),
        (Dropout(), 0, 0, 0, 0),
        (Shuffle(2), 0, 0, 0, 0),
        (add(Identity(), Identity()), 0, 0, 0, 0),
        # pool 120, 1×1 to 2 and back to 4 with bias
        (squeeze_excite(4, 2), 120 + 8 + 8, 16, 4 * 2 + 2 + 2 * 4 + 4, 2 + 4),
    ],
    ids=str,
)
def test_leaves_by_hand(layer: Layer, flops: int, macs: int, params: int, activations: int) -> None:
    read = of(layer)
    assert (read.flops, read.macs, read.params, read.activations) == (flops, macs, params, activations)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (Act("silu"), {"silu": 120}),
        (chain(Act("relu"), Act("relu"), Act("relu6")), {"relu": 240, "relu6": 120}),
        (add(Identity(), Identity(), Identity()), {"add": 240}),
        (multiply(Identity(), AdaptivePool(1)), {"multiply": 120}),
        (MaxPool(3, 2, 1), {"max_pool": 4 * 3 * 3}),
        (chain(AvgPool(2, 2), MaxPool(3, 1, 1)), {"avg_pool": 4 * 3 * 2, "max_pool": 4 * 3 * 2}),
        (AdaptivePool(2, maximum=True), {"adaptive_max_pool": 16}),
        (Conv(8, 3, bias=True), {"conv_bias": 240}),
        (concat(Conv(2), chain(Conv(6, stride=1), Act())), {"relu": 180}),
        (chain(Conv(8), BatchNorm(), AdaptivePool(1), Flatten(), Linear(3)), {}),
    ],
    ids=str,
)
def test_what_flops_leave_out_is_listed(layer: Layer, expected: dict[str, int]) -> None:
    assert uncounted(layer, SHAPE) == expected


def test_the_ledger_lists_what_flops_leave_out() -> None:
    rows = ledger(Arch.parse("r8 | conv_stem(width=8) | bottleneck c8 | pool_head"))
    assert rows[0].uncounted == (("relu", 8 * 4 * 4),)
    assert dict(rows[1].uncounted) == {"add": 8 * 16, "relu": 2 * 16 + 2 * 16 + 8 * 16}


# ---------------------------------------------------------------------------------- peak by hand
#
# x is the input's 120 elements: 30 pixels of 4 channels. Conv(n) makes 30·n of them.


@pytest.mark.parametrize(
    ("layer", "peak"),
    [
        (Conv(8), 120 + 240),
        (chain(Conv(8), BatchNorm(), Act()), 120 + 240),  # elementwise layers work in place
        (chain(Conv(8), Conv(2)), 120 + 240),  # x is freed before the second: 240 + 60 is less
        (chain(Conv(2), Conv(16), Conv(1)), 60 + 480),
        (chain(Conv(2), Conv(2)), 120 + 60),
        (Identity(), 120),
        (Act(), 120),
        (chain(AdaptivePool(1), Flatten(), Linear(10)), 120 + 4),
        # a residual keeps x while the path runs: x, 240 of the first, 120 of the second
        (add(Identity(), chain(Conv(8), Conv(4))), 120 + 240 + 120),
        # a projection first: its 240 wait while x → 60 → 240 runs; x is no longer needed after the 60
        (add(Conv(8), chain(Conv(2), Conv(8))), 240 + 60 + 240),
        (add(Conv(8), Conv(8)), 120 + 240 + 240),
        # the joined map is new: both branches' outputs and their copy
        (concat(Conv(2), Conv(6)), 60 + 180 + 240),
        # a dense connection holds x, the new map and the joined one
        (concat(Identity(), Conv(2)), 120 + 60 + 180),
        (concat(Identity(), chain(Conv(16), Conv(2))), 120 + 480 + 60),
        # a gate is applied in place: x and its four means
        (multiply(Identity(), AdaptivePool(1)), 120 + 4),
        (squeeze_excite(4, 2), 120 + 4 + 2),
        # batch norm must not overwrite an input that is read again
        (add(Identity(), chain(BatchNorm(), Act())), 120 + 120),
        # … and the next part may
        (chain(add(Identity(), Conv(4)), Act(), Conv(1)), 120 + 120),
    ],
    ids=str,
)
def test_peak_activations_by_hand(layer: Layer, peak: int) -> None:
    assert of(layer).peak_activations == peak


def test_peak_of_mobilenet_v2_is_its_first_strided_depthwise_convolution() -> None:
    """96 expanded channels, read at 112×112 and written at 56×56."""
    assert cost(Arch.parse(MOBILENET_V2)).peak_activations == 96 * (112 * 112 + 56 * 56)


def test_costs_add_up_and_keep_the_larger_peak() -> None:
    assert Cost(1, 2, 3, 4, 5) + Cost(10, 20, 30, 40, 4) == Cost(11, 22, 33, 44, 5)
