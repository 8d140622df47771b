"""fvcore's count of a built module, held against the exact cost."""

import logging
import warnings
from dataclasses import dataclass

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
    """Trace the network in eval mode at batch 1 (some 0.2 s); its mode is put back."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fvcore imports and traces with deprecated calls
        from fvcore.nn import ActivationCountAnalysis, FlopCountAnalysis

        parameter = next(network.parameters())
        image = torch.zeros(1, in_channels, resolution, resolution, device=parameter.device, dtype=parameter.dtype)
        training = network.training
        network.eval()
        try:
            flops, activations = (
                analysis(network, image).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
                for analysis in (FlopCountAnalysis, ActivationCountAnalysis)
            )
            with torch.no_grad():
                counted = int(flops.total()), int(activations.total())
        finally:
            network.train(training)
            logging.getLogger("fvcore").setLevel(logging.ERROR)
    return Profile(counted[0], sum(p.numel() for p in network.parameters()), counted[1])
