"""Object detection with a network of this project as the backbone.

    network = load(features_only=True)                 # an exported module, or a timm one, or an Arch
    model = detector(network, "faster_rcnn", num_classes=11, min_size=112, reductions=(4, 8, 16))
    losses = model(images, targets)                    # torchvision's conventions from here on
    multi_task_loss(losses).backward()

Models, IoU, non-maximum suppression and RoI pooling are torchvision's; average precision is torchmetrics'
over pycocotools (the extra `detection`). Here are only the joints: which maps go where, at which scales.
"""

from __future__ import annotations

from nas.detection.assembly import KINDS, detector, multi_task_loss
from nas.detection.average_precision import Precision, mean_average_precision
from nas.detection.backbone import ArchFeatures, Maps
from nas.detection.composed import Scenes, compose
from nas.detection.fast_rcnn import FastRCNN, sliding_windows

__all__ = [
    "KINDS",
    "ArchFeatures",
    "FastRCNN",
    "Maps",
    "Precision",
    "Scenes",
    "compose",
    "detector",
    "mean_average_precision",
    "multi_task_loss",
    "sliding_windows",
]
