"""fvcore's count of a built module, which the exact cost is held against."""

import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from search_spaces.cost import Cost


@dataclass(frozen=True)
class Profile:
    """What fvcore and torch say of a module: flops, params, activations (convolution and linear outputs)."""

    flops: int
    params: int
    activations: int

    def agrees(self, cost: Cost) -> bool:
        """Whether the exact cost says the same, to the last one."""
        return (self.flops, self.params, self.activations) == (cost.flops, cost.params, cost.activations)


def profile(network: nn.Module, in_channels: int, resolution: int) -> Profile:
    """All three counts, at the price of two traces."""
    params = sum(p.numel() for p in network.parameters())
    return Profile(flops(network, in_channels, resolution), params, activations(network, in_channels, resolution))


def flops(network: nn.Module, in_channels: int, resolution: int) -> int:
    """FLOPs of one image, by fvcore: eval mode, batch 1 (some 0.2 s of tracing); the mode is put back."""
    return _count(network, in_channels, resolution, "FlopCountAnalysis")


def activations(network: nn.Module, in_channels: int, resolution: int) -> int:
    """Elements that convolutions and linear layers write for one image, by fvcore."""
    return _count(network, in_channels, resolution, "ActivationCountAnalysis")


def _count(network: nn.Module, in_channels: int, resolution: int, name: str) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fvcore imports and traces with deprecated calls
        import fvcore.nn

        analysis: Any = getattr(fvcore.nn, name)
        parameter = next(network.parameters())
        image = torch.zeros(1, in_channels, resolution, resolution, device=parameter.device, dtype=parameter.dtype)
        training = network.training
        network.eval()
        try:
            with torch.no_grad():
                counting = analysis(network, image)
                return int(counting.unsupported_ops_warnings(False).uncalled_modules_warnings(False).total())
        finally:
            network.train(training)
