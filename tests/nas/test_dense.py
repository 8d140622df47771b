"""What DenseNet's blocks compute, and which maps their layers read."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from search_spaces.blocks.dense import Dense
from search_spaces.layers import Shape
from tests.nas.judging import image, lively, named, norm, same


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
    s = dict(named(network))
    maps = F.avg_pool2d(x, 2) if stride == 2 else x
    for name in ("layer1.new", "layer2.new", "layer3.new"):
        inner = F.conv2d(F.relu(norm(s, f"{name}.norm1", maps)), s[f"{name}.conv1.weight"])
        assert inner.shape[1] == 4 * 4
        new = F.conv2d(F.relu(norm(s, f"{name}.norm2", inner)), s[f"{name}.conv.weight"], padding=1)
        maps = torch.cat([maps, new], 1)
    assert maps.shape[1] == 6 + 3 * 4
    judge = F.conv2d(F.relu(norm(s, "transition.norm", maps)), s["transition.conv.weight"])
    assert same(network(x), judge)
