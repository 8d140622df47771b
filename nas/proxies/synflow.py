"""SynFlow: how much flows through all paths of the network, by the size of its weights alone.

Tanaka, Kunin, Yamins, Ganguli 2020, "Pruning neural networks without any data by iteratively conserving synaptic
flow" (NeurIPS); summed over a network, batch norms removed, as Abdelfattah 2021 does.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas.depthwise import SmallMapDepthwise
from nas.proxies._parts import RECTIFIERS, weighted

ABOUT = "log of the synaptic flow Σ |weight × ∂R/∂weight| of the network made linear and positive (Tanaka 2020)"


def read(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """log Σ |w · ∂R/∂w|, where R is what an image of ones gives when all weights are positive; the data are not used.

    In float64 on the CPU: R multiplies up with depth, soon beyond float32, and to 1e210 in a ResNet-152.
    """
    network = network.cpu().double()
    _make_linear(network)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    weights = [part.weight for part in weighted(network)]
    ones = torch.ones(1, *images.shape[1:], dtype=torch.float64)
    slopes = torch.autograd.grad(network(ones).sum(), weights)
    flow = torch.stack([(weight * slope).abs().sum() for weight, slope in zip(weights, slopes, strict=True)]).sum()
    return float(flow.detach().log())


def _make_linear(network: nn.Module) -> None:
    """Take out batch norms, and rectifiers, which are the identity of what is positive (ReLU6 only without its cap)."""
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, (nn.BatchNorm2d, *RECTIFIERS)):
                setattr(parent, name, nn.Identity())
        if isinstance(parent, SmallMapDepthwise):
            parent.__class__ = nn.Conv2d  # type: ignore[assignment]  # its base, which knows float64
