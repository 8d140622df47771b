"""What the papers' blocks compute, against torch code written after the papers' own figures: what such tests share.

The judges read weights by name and use `torch.nn` alone. Whole networks against torchvision and timm are in
`test_zoo.py`, shapes and costs in the tests beside `tests/search_spaces/systems.py`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas.build import module
from search_spaces.layers import Layer, Shape

State = dict[str, Tensor]


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


def named(network: nn.Module) -> list[tuple[str, Tensor]]:
    return list(network.state_dict().items())
