"""AZ-NAS's trainability: whether blocks neither swell nor shrink what flows back through them.

Lee, Ham 2024, "AZ-NAS: Assembling Zero-Cost Proxies for Network Architecture Search" (CVPR).
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas.proxies._parts import block_outputs, redraw

ABOUT = "how near to 1 the spectral norms of the blocks' Jacobians are (Lee & Ham 2024)"
SEED = 0


def read(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Mean over blocks of 2 − σ − 1/σ, at most 0; σ is the Jacobian's largest singular value, estimated by chance.
    NaN where there is one block.

    Weights are He's by fan-in, which the paper's authors draw for this reading.
    """
    generator = torch.Generator().manual_seed(SEED)
    redraw(network, lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator))
    maps = block_outputs(network, images)
    scores = [balance(before, after, generator) for before, after in pairwise(maps)]
    return sum(scores) / len(scores) if scores else math.nan


def balance(before: Tensor, after: Tensor, generator: torch.Generator) -> float:
    """2 − σ − 1/σ of the block that makes `after` (N, C', H', W') of `before` (N, C, H, W)."""
    signs = torch.randint(0, 2, after.shape, generator=generator).to(after) * 2 - 1
    (back,) = torch.autograd.grad(after, before, signs, retain_graph=True)
    back = _unshuffled(back, after.shape[-2:])
    given, taken = (g.permute(0, 2, 3, 1).flatten(0, 2) for g in (signs, back))
    jacobian = (_core(taken).T @ _core(given)).double().cpu() / len(given)
    if jacobian.shape[0] < jacobian.shape[1]:
        jacobian = jacobian.T
    sigma = float(torch.linalg.eigvalsh(jacobian.T @ jacobian)[-1].clamp_min(0).sqrt())
    return 2 - sigma - 1 / (sigma + 1e-6)


def _core(rows: Tensor) -> Tensor:
    """Rows (n, C) turned into (n, at most n): products with others keep their singular values, and grow small."""
    return rows if len(rows) >= rows.shape[1] else torch.linalg.qr(rows.T, mode="r").R.T


def _unshuffled(maps: Tensor, size: torch.Size) -> Tensor:
    """Maps (N, C, H, W) at a smaller `size`, the pixels of each patch as channels; padded where they do not divide."""
    steps = [-(-large // small) for large, small in zip(maps.shape[-2:], size, strict=True)]
    step = max(steps)
    below, right = (small * step - large for large, small in zip(maps.shape[-2:], size, strict=True))
    return F.pixel_unshuffle(F.pad(maps, (0, right, 0, below)), step)
