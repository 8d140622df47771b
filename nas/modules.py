"""The few torch modules that torch lacks: branches joined by concatenation, sum or product, and shuffle.

Exported files carry these classes word for word, so they import torch only and stay short.
"""

import torch
from torch import Tensor, nn


class Concat(nn.Sequential):
    """The same input through each branch, channels joined."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self], 1)


class Add(nn.Sequential):
    """The same input through each branch, outputs summed."""

    def forward(self, x: Tensor) -> Tensor:
        outputs: list[Tensor] = [branch(x) for branch in self]
        total = outputs[0]
        for output in outputs[1:]:
            total = total + output
        return total


class Multiply(nn.Sequential):
    """The same input through each branch, outputs multiplied; 1×1 maps gate whole channels."""

    def forward(self, x: Tensor) -> Tensor:
        outputs: list[Tensor] = [branch(x) for branch in self]
        product = outputs[0]
        for output in outputs[1:]:
            product = product * output
        return product


class Shuffle(nn.Module):
    """Channel shuffle: (N, C, H, W) as (N, groups, C / groups, H, W), transposed, flattened."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        return x.view(n, self.groups, c // self.groups, h, w).transpose(1, 2).reshape(n, c, h, w)
