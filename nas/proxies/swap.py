"""SWAP-Score: how many sample-wise activation patterns the units of a network show.

Peng, Song, Fayek, Ciesielski, Chang 2024, "SWAP-NAS: Sample-Wise Activation Patterns for Ultra-Fast NAS" (ICLR).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas.proxies._parts import read_codes

ABOUT = "number of distinct patterns over a batch that single units show (Peng 2024, without its size regulariser)"
IMAGES = 32  # of the batch; a pattern is a bit an image, packed into one integer


def read(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Distinct columns of the codes (N, units): each is one unit's answer to all images."""
    found: list[Tensor] = []

    def pack(codes: Tensor) -> None:
        patterns = torch.zeros(codes.shape[1], dtype=torch.int64, device=codes.device)
        for i, row in enumerate(codes):
            patterns |= row.long() << i
        found.append(_distinct(patterns))

    read_codes(network, images[:IMAGES], pack)
    return float(len(_distinct(torch.cat(found)))) if found else 0.0


def _distinct(patterns: Tensor) -> Tensor:
    distinct: Tensor = patterns.unique()  # type: ignore[no-untyped-call]  # missing in torch's stubs
    return distinct
