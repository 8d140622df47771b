"""SNIP: how much of the loss hangs on the weights.

Lee, Ajanthan, Torr 2019, "SNIP: Single-shot network pruning based on connection sensitivity" (ICLR); summed over a
network as Abdelfattah, Mehrotra, Dudziak, Lane 2021, "Zero-Cost Proxies for Lightweight NAS" (ICLR).
"""

from __future__ import annotations

from torch import Tensor, nn

from nas.proxies._parts import gradients

ABOUT = "sum of |weight × gradient| (Lee 2019)"


def read(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Σ |w · ∂L/∂w| over the weights of convolutions and linear layers."""
    return sum(float((weight * slope).abs().sum()) for weight, slope in gradients(network, images, labels))
