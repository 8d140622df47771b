"""Gradient norm: how steep the loss is at the start.

Abdelfattah, Mehrotra, Dudziak, Lane 2021, "Zero-Cost Proxies for Lightweight NAS" (ICLR).
"""

from __future__ import annotations

from torch import Tensor, nn

from nas.proxies._parts import gradients

ABOUT = "Euclidean norms of the layers' gradients, summed (Abdelfattah 2021)"


def read(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Σ over convolutions and linear layers of ‖∂L/∂W‖₂."""
    return sum(float(slope.norm()) for _, slope in gradients(network, images, labels))
