"""NASWOT: how differently the rectifiers see the images of a batch.

Mellor, Turner, Storkey, Crowley 2021, "Neural Architecture Search without Training" (ICML).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas.proxies._parts import read_codes

ABOUT = "log determinant of the kernel of Hamming distances between images' activation codes (Mellor 2021)"


def read(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """log |det K|, where K[i, j] is the number of units that are on the same side for images i and j."""
    n = len(images)
    alike = torch.zeros(n, n, dtype=torch.float64)

    def add(codes: Tensor) -> None:
        on = codes.float()  # whole numbers below 2^24 units a layer, so products are exact
        both, own = (on @ on.T).cpu().double(), on.sum(1).cpu().double()
        alike.add_(codes.shape[1] - own[:, None] - own[None] + 2 * both)  # both off is all less either on

    read_codes(network, images, add)
    return float(torch.linalg.slogdet(alike).logabsdet)
