"""SSD (Liu 2016, arXiv:1512.02325): default boxes on the network's maps and on smaller ones added behind."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD

from nas.detection.backbone import Maps
from nas.detection.plan import Plan, made

EXTRAS = 4  # at most, as in the paper's figure 2: each half the one before, down to 1×1
ASPECTS = [2, 3]  # and their inverses, and 1 at two scales


def make(plan: Plan) -> nn.Module:
    """All of the plan's maps, with added ones, under torchvision's `SSD`."""
    cells = math.ceil(plan.min_size / plan.maps.chosen[-1].reduction)
    backbone = Longer(plan.maps, plan.channels, min(EXTRAS, math.ceil(math.log2(cells))))
    arguments = {
        "backbone": backbone,
        "anchor_generator": DefaultBoxGenerator([ASPECTS] * len(backbone.out_channels)),
        "size": (plan.min_size, plan.min_size),
        "num_classes": plan.num_classes,
        "image_mean": plan.mean,
        "image_std": plan.std,
    }
    return made(SSD, plan.options, arguments)  # type: ignore[no-any-return]


class Longer(nn.Module):
    """The maps and added ones: each a 1×1 and a 3×3 convolution of stride 2 on the one before."""

    def __init__(self, maps: Maps, channels: int, count: int) -> None:
        super().__init__()
        self.maps = maps
        self.out_channels = [*maps.out_channels, *[channels] * count]
        ends = self.out_channels[len(maps.out_channels) - 1 :]
        self.extra = nn.ModuleList(_halving(*pair) for pair in pairwise(ends))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        levels: dict[str, Tensor] = self.maps(x)
        last = list(levels.values())[-1]
        for block in self.extra:
            last = block(last)
            levels[str(len(levels))] = last
        return levels


def _halving(in_channels: int, out_channels: int) -> nn.Sequential:
    inner = max(1, out_channels // 2)
    first, second = nn.Conv2d(in_channels, inner, 1), nn.Conv2d(inner, out_channels, 3, stride=2, padding=1)
    for conv in (first, second):
        nn.init.xavier_uniform_(conv.weight)
        if conv.bias is not None:
            nn.init.zeros_(conv.bias)
    return nn.Sequential(first, nn.ReLU(inplace=True), second, nn.ReLU(inplace=True))
