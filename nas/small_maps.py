"""Dense convolutions of small maps as matrix products, faster on CPUs.

On small maps oneDNN's convolutions stay far below what the same machine multiplies. A training step at batch 64 of a
1×1 convolution takes 1.0 to 2.5 times as long as one product of its pixels and weights, on maps from 8×8 down to 1×1;
and a larger kernel that reaches across a whole map of four pixels or fewer multiplies mostly padding, so that one
product of whole maps is 2 to 60 times faster (`benchmarks/small_maps.py`). A network that trains at 32 px has such
maps in most of its blocks. Depthwise convolutions are in `nas.depthwise`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PIXELWISE = 64  # pixels of a map up to which 1×1 convolutions are products: 8×8
WHOLE = 4  # pixels of a map up to which larger kernels are: 2×2


class SmallMapConv(nn.Conv2d):
    """A dense `nn.Conv2d` that multiplies matrices where its map is small; the same function."""

    def forward(self, input: Tensor) -> Tensor:
        n, _, height, width = input.shape
        padding = cast(tuple[int, int], self.padding)
        if self.kernel_size == (1, 1) and padding == (0, 0) and height * width <= PIXELWISE:
            pixels = input[:, :, :: self.stride[0], :: self.stride[1]].permute(0, 2, 3, 1)  # as channels_last lies
            return F.linear(pixels, self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)
        met = _met((height, width), self.kernel_size, self.stride, padding) if height * width <= WHOLE else None
        if met is None or self.bias is not None:
            return super().forward(input)
        (rows, columns), taps = met
        weights = torch.index_select(self.weight.permute(0, 2, 3, 1).flatten(1, 2), 1, taps.to(input.device))
        matrix = weights.view(self.out_channels * rows * columns, height * width * self.in_channels)
        outputs = F.linear(input.permute(0, 2, 3, 1).flatten(1), matrix).view(n, self.out_channels, rows, columns)
        return outputs.contiguous(memory_format=torch.channels_last)  # smaller to turn round than the weights are


@lru_cache(maxsize=1024)
def _met(
    size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
) -> tuple[tuple[int, int], Tensor] | None:
    """The output's size, and the tap by which each output pixel meets each input pixel (a row each, flattened).

    None where a kernel is too small to meet every pixel.
    """
    rows, columns = (
        (s + 2 * pad - k) // step + 1 for s, k, step, pad in zip(size, kernel, stride, padding, strict=True)
    )
    down = torch.arange(size[0]) - torch.arange(rows)[:, None] * stride[0] + padding[0]  # (out, in)
    right = torch.arange(size[1]) - torch.arange(columns)[:, None] * stride[1] + padding[1]
    if rows * columns == 0 or min(down.min(), right.min()) < 0 or down.max() >= kernel[0] or right.max() >= kernel[1]:
        return None
    return (rows, columns), (down[:, None, :, None] * kernel[1] + right[None, :, None, :]).flatten()


def quicken(network: nn.Module) -> None:
    """Give every dense convolution its faster forward; names, parameters and results stay."""
    for part in network.modules():
        if type(part) is nn.Conv2d and part.groups == 1 and part.dilation == (1, 1) and part.padding_mode == "zeros":
            part.__class__ = SmallMapConv
