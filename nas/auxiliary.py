"""Auxiliary classifiers (Szegedy 2014): beside a network while it trains, gone when it is deployed."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas.build import initialise, module
from search_spaces.arch import Arch
from search_spaces.layers import Shape, with_eps


class WithAuxiliaries(nn.Module):
    """A built network and the auxiliary classifiers of its stages; `network` stays the deployed one.

    (N, C, H, W) → (N, classes) in eval mode; while training also the logits of each auxiliary classifier,
    with the weight of its loss.
    """

    def __init__(self, network: nn.Sequential, arch: Arch, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.network = network
        self.aux = nn.ModuleDict()
        self.weights: dict[str, float] = {}
        shape = arch.stem.layer(in_channels).out(Shape(in_channels, arch.resolution, arch.resolution))
        for i, stage in enumerate(arch.stages, 1):
            for layer in stage.layers(shape.channels):
                shape = layer.out(shape)
            if stage.aux is not None:
                head = with_eps(stage.aux.layer(shape.channels, num_classes), arch.eps)
                self.aux[f"stage{i}"] = module(head, shape)
                self.weights[f"stage{i}"] = stage.aux.weight
        initialise(self.aux)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, list[tuple[float, Tensor]]]:
        if not self.training:
            logits: Tensor = self.network(x)
            return logits
        others: list[tuple[float, Tensor]] = []
        for name, part in self.network.named_children():
            x = part(x)
            if name in self.aux:
                copy = x.clone()  # its first layer or the next stage's may be an activation, which works in place
                others.append((self.weights[name], self.aux[name](copy)))
        return x, others


def loss_of(
    outputs: Tensor | tuple[Tensor, list[tuple[float, Tensor]]], labels: Tensor, label_smoothing: float
) -> Tensor:
    """Cross-entropy of the logits plus each auxiliary classifier's, times its weight."""
    logits, others = (outputs, []) if isinstance(outputs, Tensor) else outputs
    terms = [(1.0, logits), *others]
    losses = [w * F.cross_entropy(each.float(), labels, label_smoothing=label_smoothing) for w, each in terms]
    return torch.stack(losses).sum()
