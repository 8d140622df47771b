"""ZiCo: how large and how steady the gradients are from batch to batch.

Li, Yang, Bhardwaj, Marculescu 2023, "ZiCo: Zero-shot NAS via inverse coefficient of variation on gradients" (ICLR).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas.proxies._parts import gradients

ABOUT = "sum over layers of log Σ mean |gradient| / its deviation between two half batches (Li 2023)"
PARTS = 2  # batches that the images are split into, as many as the paper uses


def read(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Σ over layers of log Σ over weights of E|g| / √Var g; a layer whose gradients do not vary is left out."""
    batches = zip(images.chunk(PARTS), labels.chunk(PARTS), strict=True)
    seen = [[slope for _, slope in gradients(network, *batch)] for batch in batches]
    return sum(steadiness(torch.stack(layer)) for layer in zip(*seen, strict=True))


def steadiness(slopes: Tensor) -> float:
    """log Σ E|g| / √Var g of one layer's gradients (batches, …), weights of no variance left out; 0 when all are."""
    deviation = (slopes - slopes.mean(0)).square().mean(0).sqrt()  # `std` takes seven times as long
    varying = deviation != 0
    total = (slopes.abs().mean(0)[varying] / deviation[varying]).double().sum()
    return float(total.log()) if total != 0 else 0.0
