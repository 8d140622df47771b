"""Mean average precision by COCO's definition, from torchmetrics over pycocotools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from torch import Tensor

from nas.errors import UserError


@dataclass(frozen=True)
class Precision:
    """Average precision over classes, from 0 to 1; -1 where there was no true box to find.

    map: the mean over IoU thresholds 0.5, 0.55 … 0.95; map_50 and map_75: at one threshold.
    Precision is interpolated at 101 recalls (COCO's way, not PASCAL VOC's 11), at most 100 boxes an image.
    """

    map: float
    map_50: float
    map_75: float


def mean_average_precision(detections: Sequence[dict[str, Tensor]], targets: Sequence[dict[str, Tensor]]) -> Precision:
    """Hold detections against true boxes, image by image.

    detections: {"boxes": (D, 4), "scores": (D,), "labels": (D,)} as a detector returns in eval mode, on any device.
    targets: {"boxes": (K, 4), "labels": (K,)}; boxes are x1, y1, x2, y2 in px.

    Raises:
        UserError: torchmetrics or pycocotools is not installed, or there are not as many detections as targets.
    """
    if len(detections) != len(targets):
        raise UserError(
            f"each image needs its detections and its target, but got {len(detections)} and {len(targets)} of them"
        )
    missing = [name for name in ("torchmetrics", "pycocotools") if find_spec(name) is None]
    if missing:
        raise UserError(
            f"mean average precision needs {' and '.join(missing)}, which is not installed; "
            "pip install 'nas-explorer[detection]' brings it"
        )
    from torchmetrics.detection import MeanAveragePrecision

    metric = MeanAveragePrecision(box_format="xyxy", iou_type="bbox", backend="pycocotools")
    metric.warn_on_many_detections = (
        False  # the least sure beyond 100 an image are left out: COCO's rule, as said above
    )
    metric.update([_on_cpu(found) for found in detections], [_on_cpu(target) for target in targets])
    found = metric.compute()
    return Precision(*(float(found[name]) for name in ("map", "map_50", "map_75")))


def _on_cpu(record: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: record[name].detach().cpu() for name in ("boxes", "scores", "labels") if name in record}
