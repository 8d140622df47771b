"""AZ-NAS's progressivity: whether every block adds to what the features express.

Lee, Ham 2024, "AZ-NAS: Assembling Zero-Cost Proxies for Network Architecture Search" (CVPR).
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from nas.proxies.expressivity import entropies

ABOUT = "least gain in expressivity from one block to the next (Lee & Ham 2024)"


@torch.no_grad()
def read(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The smallest difference of entropies between consecutive blocks, in nats; NaN where there is one block."""
    return min((after - before for before, after in pairwise(entropies(network, images))), default=math.nan)
