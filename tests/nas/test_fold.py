"""Batch norms folded into convolutions: the same function, counted exactly."""

from __future__ import annotations

from random import Random

import pytest
import torch
from torch import nn

from nas.build import build, module
from nas.fold import fold
from nas.profile import profile
from search_spaces.arch import Arch
from search_spaces.cost import cost, layer_cost
from search_spaces.folding import folded, folded_cost, pairs
from search_spaces.layers import (
    Act,
    BatchNorm,
    Conv,
    Dropout,
    Identity,
    Layer,
    Shape,
    add,
    chain,
    concat,
    conv_norm,
    conv_norm_act,
)
from search_spaces.spaces import find, names
from search_spaces.zoo import find as known


def unsettled(network: nn.Module, seed: int) -> nn.Module:
    """Batch norms with statistics and weights that matter, in eval mode."""
    generator = torch.Generator().manual_seed(seed)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            for value, low, high in (
                (part.running_mean, -0.5, 0.5),
                (part.running_var, 0.5, 2.0),
                (part.weight.data, 0.5, 1.5),
                (part.bias.data, -0.5, 0.5),
            ):
                assert isinstance(value, torch.Tensor)
                value.uniform_(low, high, generator=generator)
    return network.eval()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", names())
def test_a_folded_network_computes_the_same_and_costs_what_fvcore_says(name: str, seed: int) -> None:
    arch = find(name).sample(Random(f"fold {name} {seed}")).at(64)
    layer, shape = arch.layer(3, 10), Shape(3, 64, 64)
    network = unsettled(build(arch, num_classes=10), seed)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    twin = fold(network, layer, shape)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        wanted, got = network(images), twin(images)
    assert float((got - wanted).abs().max()) <= 1e-5 * max(1.0, float(wanted.abs().max()))
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    judged = profile(twin, 3, 64)
    assert judged.agrees(folded_cost(arch, 3, 10))


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet50", "efficientnet_b0"])
def test_without_batch_norms_flops_are_macs_and_pooling(name: str) -> None:
    """All batch norms of these follow convolutions: two FLOPs an element less, and a shift instead of two numbers."""
    arch = known(name).arch
    plain, deployed = cost(arch), folded_cost(arch)
    assert plain.macs == deployed.macs
    assert not [part for part in leaves(folded(arch.layer())) if isinstance(part, BatchNorm)]
    normed = sum(conv.channels for conv in leaves(folded(arch.layer())) if isinstance(conv, Conv) and conv.bias)
    assert 0 < plain.params - deployed.params <= normed
    assert deployed.flops < plain.flops


def leaves(layer: Layer) -> list[Layer]:
    return [leaf for part in layer.layers for leaf in leaves(part)] if hasattr(layer, "layers") else [layer]


@pytest.mark.parametrize(
    ("layer", "found"),
    [
        (conv_norm(8), [("conv", "norm")]),
        (chain(conv_norm_act(8), BatchNorm()), [("0.conv", "0.norm")]),  # an activation stands between
        (chain(chain(Conv(8)), chain(BatchNorm())), [("0.0", "1.0")]),
        (chain(Conv(8), Dropout(), Identity(), BatchNorm()), [("0", "3")]),
        (chain(Conv(8), BatchNorm(), BatchNorm()), [("0", "1")]),
        (chain(BatchNorm(), Conv(8)), []),
        (chain(Conv(8), Act(), BatchNorm()), []),
        # others read the convolution's output too, or the batch norm reads a joined map
        (chain(Conv(8), add(Identity(), BatchNorm())), []),
        (chain(concat(Conv(8), Conv(8)), BatchNorm()), []),
        (add(conv_norm(4), Identity()), [("0.conv", "0.norm")]),
    ],
    ids=str,
)
def test_what_can_be_folded(layer: Layer, found: list[tuple[str, str]]) -> None:
    assert pairs(layer) == found
    shape = Shape(4, 8, 8)
    network, images = unsettled(module(layer, shape), 0), torch.randn(1, 4, 8, 8)
    with torch.no_grad():
        assert torch.allclose(network(images), fold(network, layer, shape)(images), atol=1e-5)
    left = sum(isinstance(part, BatchNorm) for part in leaves(folded(layer)))
    assert left == sum(isinstance(part, BatchNorm) for part in leaves(layer)) - len(found)
    assert layer_cost(folded(layer), shape)[0] == layer_cost(layer, shape)[0]


def test_folding_twice_is_folding_once() -> None:
    layer = Arch.parse("r32 | conv_stem(width=8) | fire c16 n2 | inverted_residual c16 | pool_head").layer()
    assert folded(folded(layer)) == folded(layer) != layer
