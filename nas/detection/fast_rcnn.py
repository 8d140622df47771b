"""Fast R-CNN (Girshick 2015, arXiv:1504.08083): one map, RoI pooling to 7×7, proposals from outside."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.transform import GeneralizedRCNNTransform, resize_boxes
from torchvision.ops import RoIPool, clip_boxes_to_image

from nas.detection.plan import POOLED, Plan, made
from nas.errors import UserError

Target = dict[str, Tensor]


def make(plan: Plan) -> FastRCNN:
    """The last of the plan's maps under torchvision's RoI heads."""
    last = plan.maps.chosen[-1]
    arguments = {
        "box_roi_pool": LastMapPool(last.reduction),
        "box_head": TwoMLPHead(last.channels * POOLED**2, plan.head_width),
        "box_predictor": FastRCNNPredictor(plan.head_width, plan.num_classes),
        "fg_iou_thresh": 0.5,
        "bg_iou_thresh": 0.5,
        "batch_size_per_image": 64,  # the paper's 128 from 2 images
        "positive_fraction": 0.25,
        "bbox_reg_weights": None,
        "score_thresh": 0.05,
        "nms_thresh": 0.5,
        "detections_per_img": 100,
    }
    transform = GeneralizedRCNNTransform(
        plan.min_size, plan.max_size, plan.mean, plan.std, size_divisible=last.reduction
    )
    return FastRCNN(plan.maps, made(RoIHeads, plan.options, arguments), transform)


class LastMapPool(nn.Module):
    """RoI max pooling of the last map: boxes in px of the image → (R, C, size, size), image after image."""

    def __init__(self, reduction: int, size: int = POOLED) -> None:
        super().__init__()
        self.pool = RoIPool(size, 1 / reduction)

    def forward(self, features: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]) -> Tensor:
        pooled: Tensor = self.pool(list(features.values())[-1], boxes)
        return pooled


class FastRCNN(nn.Module):
    """torchvision's RoI heads on one map, for proposals that somebody else makes.

    In train mode `model(images, targets, proposals)` returns `loss_classifier` and `loss_box_reg`; in eval mode
    `model(images, proposals=proposals)` returns boxes, labels and scores for each image.

    proposals: for each image boxes (P, 4) as x1, y1, x2, y2 in its px. Without them, `sliding_windows`: enough for
        objects about as large as the windows, and no equal of selective search or of an RPN.

    Differs from the paper as torchvision does: background are all sampled proposals below IoU 0.5, not only those
    above 0.1; true boxes join the proposals in training; smooth L1 bends at 1/9 instead of 1.
    """

    def __init__(self, backbone: nn.Module, roi_heads: RoIHeads, transform: GeneralizedRCNNTransform) -> None:
        super().__init__()
        self.transform, self.backbone, self.roi_heads = transform, backbone, roi_heads

    def forward(
        self,
        images: Sequence[Tensor],
        targets: Sequence[Target] | None = None,
        proposals: Sequence[Tensor] | None = None,
    ) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        """Losses (train mode) or detections (eval mode); raise `UserError` for missing targets or odd proposals."""
        if self.training and targets is None:
            raise UserError("training needs targets, boxes and labels for each image, but got none; or call .eval()")
        sizes = [(int(image.shape[-2]), int(image.shape[-1])) for image in images]
        if proposals is None:
            proposals = [sliding_windows(*size).to(image.device) for size, image in zip(sizes, images, strict=True)]
        _check(proposals, len(sizes))
        batch, resized = self.transform(list(images), list(targets) if targets is not None else None)
        regions = [
            clip_boxes_to_image(resize_boxes(boxes.to(batch.tensors), before, after), after)
            for boxes, before, after in zip(proposals, sizes, batch.image_sizes, strict=True)
        ]
        features = self.backbone(batch.tensors)
        detections, losses = self.roi_heads(features, regions, batch.image_sizes, resized if self.training else None)
        if self.training:
            found: dict[str, Tensor] = losses
            return found
        boxes: list[dict[str, Tensor]] = self.transform.postprocess(detections, batch.image_sizes, sizes)
        return boxes


def sliding_windows(
    height: int,
    width: int,
    shares: Sequence[float] = (0.2, 0.3, 0.45),
    aspects: Sequence[float] = (0.5, 1.0, 2.0),
    overlap: float = 0.5,
) -> Tensor:
    """Windows all over an image: boxes (P, 4) as x1, y1, x2, y2 in px.

    shares: sides of the windows, as parts of the image's shorter side.
    aspects: heights over widths, at equal area.
    overlap: of neighbours, as a part of their side.
    """
    short, windows = min(height, width), []
    for share in shares:
        for aspect in aspects:
            h, w = (min(share * short * aspect**0.5, height), min(share * short / aspect**0.5, width))
            y = torch.linspace(0, height - h, _count(height - h, h * (1 - overlap)))
            x = torch.linspace(0, width - w, _count(width - w, w * (1 - overlap)))
            top, left = (grid.flatten() for grid in torch.meshgrid(y, x, indexing="ij"))
            windows.append(torch.stack([left, top, left + w, top + h], 1))
    return torch.cat(windows)


def _count(way: float, step: float) -> int:
    return 1 + round(way / max(step, 1.0))


def _check(proposals: Sequence[Tensor], images: int) -> None:
    shapes = [tuple(boxes.shape) for boxes in proposals]
    if len(shapes) != images or any(len(shape) != 2 or shape[1] != 4 for shape in shapes):
        raise UserError(f"proposals must be boxes (P, 4) for each of the {images} images, but got shapes {shapes}")
