"""Any block that the language can say is counted, built, trained, folded, printed and shared alike.

Blocks of the papers are tame; a user's own may be any expression of layers. Here they are drawn at random.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nas.build import build, module
from nas.fold import fold
from nas.latency.graph import graph
from nas.packaging.proof import awake
from nas.profile import profile
from nas.supernet.network import Supernet
from search_spaces import layers as L
from search_spaces.arch import Arch, Stage
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.cost import cost, layer_cost
from search_spaces.folding import folded, folded_cost
from search_spaces.holes import IntRange, OneOf
from search_spaces.layers import ACTIVATIONS, Layer, Shape, add, chain, concat, multiply
from search_spaces.part import REGISTRY, Block
from search_spaces.space import Space
from tests.nas.exporting import brought_home, packed
from tests.search_spaces.tracing import Allocator, execute, with_affine

SEEDS = range(20)
WIDTHS = (4, 8, 12)


def leaf(rng: Random, channels: int) -> Layer:
    """Any leaf that keeps height and width; a convolution may change the channels."""
    groups = rng.choice([g for g in (1, 2, 4, channels) if channels % g == 0])
    width, kernel = rng.choice([w for w in (*WIDTHS, channels) if w % groups == 0]), rng.choice((1, 3, 5))
    return rng.choice(
        [
            L.Conv(width, kernel, groups=groups, bias=rng.random() < 0.3, dilation=rng.choice((1, 1, 2))),
            L.conv_norm_act(width, kernel, groups=groups, act=rng.choice(ACTIVATIONS)),
            L.BatchNorm(),
            L.Act(rng.choice(ACTIVATIONS)),
            L.Dropout(0.0),
            L.Identity(),
            L.Shuffle(groups),
            L.MaxPool(3, 1, 1),
            L.AvgPool(3, 1, 1),
        ]
    )


def expression(rng: Random, channels: int, depth: int) -> Layer:
    """Any expression that keeps height and width."""
    kind = rng.choice(("leaf", "chain", "concat", "add", "multiply")) if depth else "leaf"
    if kind == "leaf":
        return leaf(rng, channels)
    if kind == "chain":
        parts: list[Layer] = []
        for _ in range(rng.randint(1, 4)):
            parts.append(expression(rng, channels, depth - 1))
            channels = width(parts[-1], channels)
        return chain(*parts)
    branches = [expression(rng, channels, depth - 1) for _ in range(rng.randint(1, 3))]
    if kind == "concat":
        return concat(*branches)
    if kind == "multiply" and rng.random() < 0.5:
        gated = branches[0]
        gate = chain(L.AdaptivePool(1), L.Conv(width(gated, channels), bias=True), L.Act("sigmoid"))
        return multiply(gated, gate)
    wide = width(branches[0], channels)
    fitted = [b if width(b, channels) == wide else chain(b, L.conv_norm(wide)) for b in branches]
    return (add if kind == "add" else multiply)(*fitted)


def width(layer: Layer, channels: int) -> int:
    return layer.out(Shape(channels, 9, 9)).channels


def wild_block() -> type[Block]:
    """Made anew, as parts that a test defines are forgotten after it."""

    @dataclass(frozen=True)
    class Wild(Block):
        """`number` says which of all blocks it is."""

        number: int = 0

        def layer(self, in_channels: int, out_channels: int, stride: int) -> Layer:
            rng = Random(f"{self.number}")
            body = expression(rng, in_channels, 3)
            end = rng.choice((L.Conv(out_channels, 3, stride), L.conv_norm(out_channels, 1, stride)))
            after = rng.choice((L.Identity(), L.Act(rng.choice(ACTIVATIONS)), L.BatchNorm()))
            return chain(body=body, end=end, after=after)

    return Wild


@pytest.fixture
def wild(own_parts: None) -> Iterator[Any]:
    yield wild_block()
    assert "wild" in REGISTRY


def drawn(wild: Any, seed: int) -> Arch:
    first, second = wild(number=2 * seed), wild(number=2 * seed + 1)
    stem = ConvStem(8, act=ACTIVATIONS[seed % len(ACTIVATIONS)])
    return Arch(18, stem, (Stage(first, 8, depth=2), Stage(second, 12, stride=2)), PoolHead())


def same(one: Tensor, other: Tensor, tolerance: float = 1e-5) -> bool:
    return bool((one - other).abs().max() <= tolerance * max(1.0, float(other.abs().max())))


@pytest.mark.parametrize("seed", SEEDS)
def test_it_is_counted_and_read_back(wild: Any, seed: int) -> None:
    arch = drawn(wild, seed)
    assert Arch.parse(str(arch)) == arch
    assert profile(build(arch, 3, 10), 3, 18).agrees(cost(arch, 3, 10))


@pytest.mark.parametrize("seed", SEEDS)
def test_it_trains_as_if_nothing_worked_in_place(wild: Any, seed: int) -> None:
    arch = drawn(wild, seed)
    torch.manual_seed(seed)
    built, images = build(arch, 3, 10).train(), torch.randn(4, 3, 18, 18)
    careful, before = deepcopy(built), images.clone()
    for part in careful.modules():
        if hasattr(part, "inplace"):
            part.inplace = False
    for network in (built, careful):
        network(images).square().sum().backward()
    assert torch.equal(images, before)
    for (name, one), other in zip(built.named_parameters(), careful.parameters(), strict=True):
        assert one.grad is not None, name
        assert other.grad is not None, name
        assert torch.equal(one.grad, other.grad), name


@pytest.mark.parametrize("seed", SEEDS)
def test_it_is_folded_and_timed_as_the_same_function(wild: Any, seed: int) -> None:
    import onnxruntime

    arch = drawn(wild, seed)
    torch.manual_seed(seed)
    images = torch.randn(2, 3, 18, 18)
    network = awake(build(arch, 3, 10), images)
    layer, shape = arch.layer(3, 10), Shape(3, 18, 18)
    twin = fold(network, layer, shape)
    assert profile(twin, 3, 18).agrees(folded_cost(arch, 3, 10))
    with torch.no_grad():
        wanted, got = network(images), twin(images)
    assert same(got, wanted, 1e-4)
    weights = {key: value.numpy() for key, value in twin.state_dict().items()}
    model = graph(folded(layer), shape, batch=2, weights=weights)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (timed,) = session.run(None, {"images": images.numpy()})
    assert np.abs(timed - wanted.numpy()).max() <= 1e-4 * max(1.0, float(wanted.abs().max()))


@pytest.mark.parametrize("seed", SEEDS)
def test_it_peaks_where_its_cost_says(wild: Any, seed: int) -> None:
    layer, shape = wild(number=seed).layer(8, 12, 2), Shape(8, 9, 9)
    affine = with_affine(module(layer, shape).eval())
    with torch.no_grad(), Allocator(affine) as allocator:
        execute(affine, layer, [torch.zeros(1, *shape)])
    assert allocator.peak == 4 * layer_cost(layer, shape)[1].peak_activations


@pytest.mark.parametrize("seed", SEEDS)
def test_it_is_taken_home(wild: Any, seed: int, tmp_path: Path) -> None:
    package = packed(drawn(wild, seed))
    exported, _ = brought_home(package, tmp_path)
    network = exported.load()
    images = torch.randn(4, 3, 18, 18)
    with torch.no_grad():
        assert same(network.eval()(images), package.module().eval()(images))
        maps = exported.load(features_only=True).eval()(images)
    assert all(torch.isfinite(each).all() for each in maps)
    network.train()(images).square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("seed", SEEDS)
def test_a_supernet_holds_it(wild: Any, seed: int) -> None:
    """Side by side, and as a hole of one block."""
    rng = Random(seed)
    one, other = wild(number=rng.randrange(10**6)), wild(number=OneOf(rng.randrange(10**6), rng.randrange(10**6)))
    stages = (
        Stage(OneOf(one, other), OneOf(8, 12), depth=IntRange(1, 2)),
        Stage(other, OneOf(12, 16), stride=2),
    )
    space = Space("wild", Arch(18, ConvStem(OneOf(4, 8)), stages, PoolHead()))
    supernet, images = Supernet(space, 3, 10, 18), torch.randn(8, 3, 18, 18)
    for _ in range(3):
        arch = space.sample(rng)
        selected, extracted = supernet.select(arch, 18), supernet.extract(arch)
        with torch.no_grad():
            assert same(selected.train()(images), extracted.train()(images), 1e-4), arch
        assert profile(extracted, 3, 18).agrees(cost(arch, 3, 10))
        selected(images).square().sum().backward()
