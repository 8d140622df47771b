"""Depthwise convolutions whose kernel is larger than the map, faster on CPUs.

oneDNN's backward pass of such a convolution takes its time by channels and taps, however small the
map: 30 ms for 960 channels of 5×5 on 1×1 maps at batch 64, where the forward pass takes 0.2 ms. Most
of a mobile network's blocks see such maps when it trains at 32 px. There the same convolution is one
small matrix a channel, and matrices are quick both ways (`benchmarks/small_maps.py`).

On larger maps it stays in fp32 where the CPU trains in bf16, for oneDNN's bf16 backward pass loses a third of a whole
mobile network's speed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import cast

import torch
from torch import Tensor, nn

SMALL = 16  # pixels of a map up to which matrices are used: 4×4
TINY = 16  # elements of a channel's matrix up to which a broadcast sum beats a batched product


class SmallMapDepthwise(nn.Conv2d):
    """A depthwise `nn.Conv2d` that uses matrices where its kernel is larger than the map; the same function."""

    def forward(self, input: Tensor) -> Tensor:
        n, channels, height, width = input.shape
        kernel = self.kernel_size[0]
        if kernel <= min(height, width) or height * width > SMALL or self.bias is not None:
            with torch.autocast("cpu", enabled=False):
                return super().forward(input.to(self.weight.dtype))
        stride, padding = self.stride[0], cast(tuple[int, int], self.padding)[0]
        spread, (rows, columns) = _spread(height, width, kernel, stride, padding)
        matrices = self.weight.reshape(channels, kernel * kernel) @ spread
        matrices = matrices.view(channels, height * width, rows * columns)
        if matrices.shape[1] * matrices.shape[2] <= TINY:  # too small for a product's overhead: one sum
            maps = input.permute(0, 2, 3, 1).reshape(n, height * width, 1, channels)
            outputs = (maps * matrices.permute(1, 2, 0)).sum(1)
            return outputs.view(n, rows, columns, channels).permute(0, 3, 1, 2)
        maps = input.permute(1, 0, 2, 3).reshape(channels, n, height * width)
        return torch.bmm(maps, matrices).view(channels, n, rows, columns).permute(1, 0, 2, 3)


@lru_cache(maxsize=1024)
def _spread(height: int, width: int, kernel: int, stride: int, padding: int) -> tuple[Tensor, tuple[int, int]]:
    """(taps, pixels in · pixels out) of 0 and 1: which tap carries which pixel to which; and the output's size."""
    rows, columns = ((side + 2 * padding - kernel) // stride + 1 for side in (height, width))
    spread = torch.zeros(kernel, kernel, height, width, rows, columns)
    for row in range(rows):
        for column in range(columns):
            for tap_y in range(kernel):
                for tap_x in range(kernel):
                    y, x = row * stride + tap_y - padding, column * stride + tap_x - padding
                    if 0 <= y < height and 0 <= x < width:
                        spread[tap_y, tap_x, y, x, row, column] = 1
    return spread.view(kernel * kernel, -1), (rows, columns)


def quicken(network: nn.Module) -> None:
    """Give every square depthwise convolution its faster forward; names, parameters and results stay."""
    for part in network.modules():
        if type(part) is not nn.Conv2d or not part.groups == part.in_channels == part.out_channels > 1:
            continue
        if part.dilation == (1, 1) and part.kernel_size[0] == part.kernel_size[1]:
            part.__class__ = SmallMapDepthwise
