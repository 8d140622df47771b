"""Activations work in place only where nothing else reads their input."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from nas.build import module
from nas.in_place import writes_input
from search_spaces import layers as L
from search_spaces.layers import Layer, Shape, add, chain, concat, multiply

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


def pieces(layer: Layer) -> tuple[torch.nn.Module, torch.nn.Module]:
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


def test_an_activation_that_reads_alone_works_in_place() -> None:
    layer = add(chain(L.Identity(), L.Act("relu")))
    assert writes_input(layer)
    images = torch.randn(2, *SHAPE)
    with torch.no_grad():
        assert module(chain(CONV, layer, concat(CONV, L.Act("silu"))), SHAPE)(images).shape == (2, 8, 6, 6)
        module(layer, SHAPE)(images)
    assert images.min() == 0
