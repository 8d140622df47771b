"""AZ-NAS's expressivity: how evenly the features of each block fill their space.

Lee, Ham 2024, "AZ-NAS: Assembling Zero-Cost Proxies for Network Architecture Search" (CVPR).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas.proxies._parts import block_outputs

ABOUT = "entropy of the principal components of the blocks' features, summed (Lee & Ham 2024)"


@torch.no_grad()
def read(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Σ over blocks of the entropy of their features' normalised principal variances."""
    return sum(entropies(network, images))


def entropies(network: nn.Module, images: Tensor) -> list[float]:
    """The entropy after the stem and after each block, in nats; at most the log of their channels."""
    return [entropy(maps) for maps in block_outputs(network, images)]


def entropy(maps: Tensor) -> float:
    """Entropy of the normalised eigenvalues of the covariance of channels over pixels and images; maps (N, C, H, W)."""
    pixels = maps.detach().permute(0, 2, 3, 1).flatten(0, 2)
    pixels = pixels - pixels.mean(0)
    few = len(pixels) < pixels.shape[1]  # then the other product has the same eigenvalues, but for zeros
    product = pixels @ pixels.T if few else pixels.T @ pixels
    values = torch.linalg.eigvalsh(product.double().cpu()).clamp_min(0)
    shares = values / values.sum()
    return -float(torch.xlogy(shares, shares).sum())
