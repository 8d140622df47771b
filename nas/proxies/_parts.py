"""What proxies share: codes of rectifiers, weights with their gradients, weights drawn anew, maps between blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

RECTIFIERS = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish, nn.GELU)
"""Activations with one bend, at or near 0. Gates (sigmoid, hard sigmoid) have none."""


def weighted(network: nn.Module) -> list[nn.Conv2d | nn.Linear]:
    """The layers with a weight matrix, in order."""
    return [part for part in network.modules() if isinstance(part, (nn.Conv2d, nn.Linear))]


@torch.no_grad()
def read_codes(network: nn.Module, images: Tensor, see: Callable[[Tensor], None]) -> None:
    """Show `see` each rectifier's input as binary codes, bool (N, units): on which side of the bend each unit is."""
    hooks = [
        part.register_forward_pre_hook(lambda _, inputs: see((inputs[0] > 0).flatten(1)))
        for part in network.modules()
        if isinstance(part, RECTIFIERS)
    ]
    try:
        network(images)
    finally:
        for hook in hooks:
            hook.remove()


def gradients(network: nn.Module, images: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Each weight matrix with the gradient that the cross-entropy of the batch gives it."""
    weights = [part.weight for part in weighted(network)]
    loss = F.cross_entropy(network(images), labels)
    return zip((w.detach() for w in weights), torch.autograd.grad(loss, weights), strict=True)


@torch.no_grad()
def redraw(network: nn.Module, draw: Callable[[Tensor], object]) -> None:
    """Draw every weight matrix anew by `draw`; biases become 0, batch norms the identity's."""
    for part in network.modules():
        if isinstance(part, (nn.Conv2d, nn.Linear)):
            fresh = torch.empty(part.weight.shape)  # on the CPU: the same numbers on every device
            draw(fresh)
            part.weight.copy_(fresh)
        elif isinstance(part, nn.BatchNorm2d):
            nn.init.ones_(part.weight)
        else:
            continue
        if part.bias is not None:
            nn.init.zeros_(part.bias)


def block_outputs(network: nn.Module, images: Tensor) -> list[Tensor]:
    """Maps (N, C, H, W) after the stem and after each block of each stage, with their graph; the head is left out.

    A block that hands on its input (a skipped layer) has none of its own.
    """
    maps: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if not maps or output is not maps[-1]:
            maps.append(output)

    first, *stages, _ = network.children()
    hooks = [block.register_forward_hook(keep) for block in (first, *(b for s in stages for b in s.children()))]
    try:
        network(images)
    finally:
        for hook in hooks:
            hook.remove()
    return maps
