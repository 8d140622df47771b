"""Activations work in place only where nothing else reads their input."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from nas.auxiliary import WithAuxiliaries
from nas.build import ACTIVATIONS, build, module
from nas.in_place import writes_input
from search_spaces import Arch, Stage
from search_spaces import layers as L
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.layers import Layer, Shape, add, chain, concat, multiply
from search_spaces.part import Auxiliary, Block

KINDS = sorted(ACTIVATIONS)
SHAPE = Shape(4, 6, 6)
CONV = L.Conv(4, 3)
SHARED = {
    "a pre-activation block": add(identity=L.Identity(), path=chain(act=L.Act("relu"), conv=CONV)),
    "the first of two branches": concat(a=chain(act=L.Act("silu"), conv=CONV), b=CONV),
    "the last of two branches": concat(a=CONV, b=chain(act=L.Act("hardswish"), conv=CONV)),
    "an activation alone": multiply(a=L.Act("relu6"), b=CONV),
    "behind what hands on": add(L.Identity(), chain(L.Identity(), L.Dropout(0.0), L.Shuffle(1), L.Act("relu"))),
    "behind a lone branch": add(L.Identity(), chain(add(L.Identity()), multiply(L.Act("relu")), CONV)),
    "a branch of a branch": add(L.Identity(), chain(concat(chain(L.Act("hardsigmoid"))), CONV)),
}


def pieces(layer: Layer) -> tuple[nn.Module, nn.Module]:
    """A layer as it is built, and one of the same weights that changes nothing in place."""
    torch.manual_seed(0)
    built = module(layer, SHAPE)
    careful = deepcopy(built)
    for part in careful.modules():
        if hasattr(part, "inplace"):
            part.inplace = False  # type: ignore[assignment]  # mypy takes it for a submodule
    return built, careful


@pytest.mark.parametrize("layer", SHARED.values(), ids=SHARED)
@pytest.mark.parametrize("training", [False, True])
def test_an_activation_leaves_alone_what_its_siblings_read(layer: Layer, training: bool) -> None:
    built, careful = pieces(layer)
    images = torch.randn(2, *SHAPE)
    gradients = []
    for network in (built.train(training), careful.train(training)):
        given = images.clone().requires_grad_()
        out = network(given * 1.0)
        out.sum().backward()
        gradients.append((out, given.grad))
    torch.testing.assert_close(*gradients, rtol=0, atol=0)


@pytest.mark.parametrize("layer", SHARED.values(), ids=SHARED)
def test_a_layer_of_branches_leaves_its_own_input_alone(layer: Layer) -> None:
    assert not writes_input(layer)
    images = torch.randn(2, *SHAPE)
    before = images.clone()
    with torch.no_grad():
        module(layer, SHAPE)(images)
    assert torch.equal(images, before)


@pytest.mark.usefixtures("own_parts")
def test_auxiliary_classifiers_and_the_network_read_the_same_map() -> None:
    """Though both begin with an activation."""

    @dataclass(frozen=True)
    class Active(Block):
        def layer(self, in_channels: int, out_channels: int, stride: int) -> Layer:
            return chain(act=L.Act("silu"), conv=L.Conv(out_channels, 3, stride))

    @dataclass(frozen=True)
    class ActiveHead(Auxiliary):
        weight: float = 0.3

        def layer(self, in_channels: int, num_classes: int) -> Layer:
            parts = {"pool": L.AdaptivePool(1), "flatten": L.Flatten(), "classifier": L.Linear(num_classes)}
            return chain(act=L.Act("relu"), **parts)

    arch = Arch(8, ConvStem(8), (Stage(Active(), 8, aux=ActiveHead()), Stage(Active(), 8)), PoolHead())
    network = build(arch, 3, 10)
    both = WithAuxiliaries(network, arch, 3, 10).train()
    images = torch.randn(4, 3, 8, 8)
    logits, ((_, other),) = both(images)
    assert torch.equal(logits, network(images))
    middle = network.stage1(network.stem(images))
    assert torch.equal(other, both.aux["stage1"](middle.clone()))
    (logits.sum() + other.sum()).backward()


def test_an_activation_that_reads_alone_works_in_place() -> None:
    layer = add(chain(L.Identity(), L.Act("relu")))
    assert writes_input(layer)
    network = module(chain(CONV, layer, concat(CONV, L.Act("silu"))), SHAPE)
    assert network(torch.randn(2, *SHAPE)).shape == (2, 8, 6, 6)
    assert [part.inplace for part in network.modules() if hasattr(part, "inplace")] == [True, False]


@pytest.mark.parametrize("layer", [L.Act("relu"), chain(L.Act("relu"), CONV), add(chain(L.Identity(), L.Act("relu")))])
def test_what_a_network_is_given_is_its_callers(layer: Layer) -> None:
    images = torch.randn(2, *SHAPE)
    before = images.clone()
    with torch.no_grad():
        module(layer, SHAPE)(images)
    assert torch.equal(images, before)


@pytest.mark.parametrize("second", KINDS)
@pytest.mark.parametrize("first", KINDS)
def test_activations_may_follow_one_another(first: str, second: str) -> None:
    """As where a block that begins with one, as DARTS's operations do, follows one that ends with one."""
    one, other = chain(CONV, L.Act(first), L.Dropout(0.0)), chain(L.Identity(), L.Act(second), CONV)
    built, careful = pieces(chain(chain(one), add(other)))
    images = torch.randn(2, *SHAPE)
    for a, b in zip(*(gradients(network, images) for network in (built, careful)), strict=True):
        assert torch.equal(a, b)
    network = nn.Sequential(module(one, SHAPE), module(other, SHAPE))  # as a supernet's blocks are
    gradients(network, images)


def gradients(network: nn.Module, images: Tensor) -> list[Tensor]:
    network.zero_grad()
    network(images).square().sum().backward()
    return [p.grad for p in network.parameters() if p.grad is not None]
