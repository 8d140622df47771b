"""Zen-Score: how complex the functions are that a network of random weights computes.

Lin, Wang, Sun, Chen, Sun, Qian, Li, Jin 2021, "Zen-NAS: A Zero-Shot NAS for High-Performance Deep Image
Recognition" (ICCV).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas.modules import Add
from nas.proxies._parts import redraw

ABOUT = "log sensitivity of the features to Gaussian noise, what batch norms hide given back (Lin 2021)"
NOISE = 1e-2
SEED = 0


@torch.no_grad()
def read(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """log E ‖f(x) − f(x + noise)‖₁ + Σ log σ of each batch norm: Gaussian weights and images, f up to the last pool.

    Identity shortcuts are taken out, as in the paper; σ² is the mean variance that the batch norm sees.
    """
    generator = torch.Generator().manual_seed(SEED)
    redraw(network, lambda weight: weight.normal_(generator=generator))
    _cut_shortcuts(network)
    shape = images.shape
    image, noise = (torch.randn(shape, generator=generator).to(images.device) for _ in range(2))
    scales: list[Tensor] = []
    last: list[Tensor] = []
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.register_forward_pre_hook(lambda _, inputs: scales.append(_log_deviation(inputs[0])))
        elif isinstance(part, (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)):
            part.register_forward_pre_hook(lambda _, inputs: last.append(inputs[0]))
    features = [_features(network, at, last) for at in (image, image + NOISE * noise)]
    hidden = float(torch.stack(scales).sum()) / 2 if scales else 0.0  # two passes were seen
    apart = (features[0] - features[1]).abs().flatten(1).sum(1).mean()
    return float(apart.log()) + hidden


def _features(network: nn.Module, images: Tensor, last: list[Tensor]) -> Tensor:
    """What reaches the last adaptive pool; the output of a network without one."""
    last.clear()
    output: Tensor = network(images)
    return last[-1] if last else output


def _log_deviation(maps: Tensor) -> Tensor:
    return maps.var((0, 2, 3), correction=0).mean().sqrt().log()


def _cut_shortcuts(network: nn.Module) -> None:
    for part in network.modules():
        if isinstance(part, Add):
            idle = [name for name, branch in part.named_children() if isinstance(branch, nn.Identity)]
            for name in idle[: len(part) - 1]:
                delattr(part, name)
