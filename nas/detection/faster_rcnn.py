"""Faster R-CNN (Ren 2015, arXiv:1506.01497) on a feature pyramid (Lin 2017, arXiv:1612.03144)."""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool
from torchvision.ops.poolers import LevelMapper

from nas.detection.backbone import Maps
from nas.detection.plan import POOLED, Plan, made
from nas.errors import UserError

LARGEST = 0.64  # anchors of the coarsest level, as a part of the shorter side: the FPN's 512 px of 800
ASPECTS = (0.5, 1.0, 2.0)


def make(plan: Plan) -> nn.Module:
    """All of the plan's maps through an FPN, then torchvision's `FasterRCNN`."""
    reductions = [m.reduction for m in plan.maps.chosen]
    if not _doubling(reductions):
        raise UserError(
            f"faster_rcnn needs maps at powers of two without gaps, such as 4, 8, 16, but got {reductions}; "
            "choose others by reductions, or take ssd"
        )
    levels = len(reductions) + 1
    sizes = [max(1, round(LARGEST * plan.min_size / 2**i)) for i in reversed(range(levels))]
    arguments = {
        "backbone": Pyramid(plan.maps, plan.channels),
        "min_size": plan.min_size,
        "max_size": plan.max_size,
        "image_mean": plan.mean,
        "image_std": plan.std,
        "rpn_anchor_generator": AnchorGenerator(tuple((size,) for size in sizes), (ASPECTS,) * levels),
        "box_roi_pool": _pool(reductions, LARGEST * plan.min_size / (2 * reductions[-1])),
        "box_head": TwoMLPHead(plan.channels * POOLED**2, plan.head_width),
        "box_predictor": FastRCNNPredictor(plan.head_width, plan.num_classes),
        "size_divisible": reductions[-1],
    }
    return made(FasterRCNN, plan.options, arguments)  # type: ignore[no-any-return]


class Pyramid(nn.Module):
    """The maps through an FPN, all of one width, and a coarser one for the RPN."""

    def __init__(self, maps: Maps, channels: int) -> None:
        super().__init__()
        self.maps = maps
        self.fpn = FeaturePyramidNetwork(maps.out_channels, channels, LastLevelMaxPool())
        self.out_channels = channels

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        levels: dict[str, Tensor] = self.fpn(self.maps(x))
        return levels


def _doubling(reductions: list[int]) -> bool:
    """Whether levels can be told from the logarithm of a RoI's size, as the FPN does."""
    first = reductions[0]
    return first & (first - 1) == 0 and reductions == [first << i for i in range(len(reductions))]


def _pool(reductions: list[int], cells: float) -> MultiScaleRoIAlign:
    """RoIAlign to 7×7 on the level that suits a RoI's size.

    cells: by how many cells of their level anchors are wide. Where it is 8, as in the FPN's paper, RoIs of 224 px
    come to reduction 16 (level 4); elsewhere in the same proportion.
    """
    pool = MultiScaleRoIAlign([str(i) for i in range(len(reductions))], POOLED, sampling_ratio=2)
    # torchvision would infer these from the first batch, wrongly where padding is a large part of a small image
    pool.scales = [1 / reduction for reduction in reductions]
    finest, coarsest = (reduction.bit_length() - 1 for reduction in (reductions[0], reductions[-1]))
    pool.map_levels = LevelMapper(finest, coarsest, canonical_scale=max(1, round(224 * cells / 8)), canonical_level=4)
    return pool
