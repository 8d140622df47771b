"""The definitions that detection rests on, worked by hand: overlap, suppression, average precision."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchvision.ops import batched_nms, box_iou, nms

from nas.detection import average_precision, mean_average_precision
from nas.errors import UserError

# ------------------------------------------------------------------------- IoU and NMS, by hand


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        # shared: x 5 to 10, y 2 to 10, 5 · 8 = 40; areas 100 and 10 · 8 = 80; union 100 + 80 − 40 = 140.
        # With x2 for y2, as write-ups have it, or a difference for a product of sides, this is another number.
        ((0, 0, 10, 10), (5, 2, 15, 10), 40 / 140),
        ((2, 1, 6, 13), (2, 1, 6, 13), 1),  # itself
        ((0, 0, 4, 10), (1, 2, 3, 7), 10 / 40),  # inside: 2 · 5 of 4 · 10
        ((0, 0, 4, 4), (4, 0, 8, 4), 0),  # an edge in common has no area
        ((0, 0, 4, 4), (5, 5, 9, 9), 0),  # apart on both axes: two negative sides must not make an area
    ],
)
def test_iou(one: tuple[float, ...], other: tuple[float, ...], expected: float) -> None:
    found = box_iou(torch.tensor([one], dtype=torch.float), torch.tensor([other], dtype=torch.float))
    assert float(found) == pytest.approx(expected)


def test_nms_asks_only_boxes_that_were_kept() -> None:
    # Three boxes of 10 × 10, each 3 lower than the one before. Neighbours share 70 of 130: IoU 0.538; the outer
    # two share 40 of 160: 0.25. At 0.5 the second goes for the first's sake; it is gone then, so the third stays.
    boxes = torch.tensor([[0, 6, 10, 16], [0, 3, 10, 13], [0, 0, 10, 10]], dtype=torch.float)
    scores = torch.tensor([0.7, 0.8, 0.9])
    assert nms(boxes, scores, 0.5).tolist() == [2, 0]  # by score, not by place
    assert nms(boxes, scores, 0.54).tolist() == [2, 1, 0]  # 0.538 is not above 0.54
    assert nms(boxes, scores, 0.24).tolist() == [2]
    # classes do not suppress one another
    assert batched_nms(boxes, scores, torch.tensor([1, 2, 1]), 0.5).tolist() == [2, 1, 0]


# --------------------------------------------------------------------------- precision, by hand


def found(*rows: tuple[tuple[float, ...], float, int]) -> dict[str, Tensor]:
    boxes = torch.tensor([row[0] for row in rows], dtype=torch.float).view(-1, 4)
    scores, labels = torch.tensor([row[1] for row in rows]), torch.tensor([row[2] for row in rows], dtype=torch.long)
    return {"boxes": boxes, "scores": scores, "labels": labels}


def truth(*rows: tuple[tuple[float, ...], int]) -> dict[str, Tensor]:
    return {"boxes": torch.tensor([row[0] for row in rows]).float(), "labels": torch.tensor([row[1] for row in rows])}


A, B, ELSEWHERE = (0, 0, 40, 40), (50, 50, 90, 90), (0, 60, 30, 95)


def test_average_precision_is_the_area_under_interpolated_precision() -> None:
    # By score: right, wrong, right, of 2 true boxes. Precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1.
    # Interpolated (the largest precision at this recall or a higher one): 1 up to recall 1/2, 2/3 beyond.
    # COCO reads recalls 0, 0.01 … 1: 51 of them are up to 1/2, 50 beyond.
    precision = mean_average_precision([found((A, 0.9, 1), (ELSEWHERE, 0.8, 1), (B, 0.7, 1))], [truth((A, 1), (B, 1))])
    assert precision.map_50 == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)
    assert precision.map == pytest.approx(precision.map_50)  # boxes are exact, so no threshold is too strict


def test_a_second_box_on_the_same_object_is_wrong() -> None:
    # right, wrong (A was found), right: as above; the other way round, duplicates last, they cost nothing
    double = mean_average_precision([found((A, 0.9, 1), (A, 0.8, 1), (B, 0.7, 1))], [truth((A, 1), (B, 1))])
    late = mean_average_precision([found((A, 0.9, 1), (A, 0.6, 1), (B, 0.7, 1))], [truth((A, 1), (B, 1))])
    assert double.map_50 == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert late.map_50 == pytest.approx(1)


def test_map_is_the_mean_over_thresholds_and_classes() -> None:
    # 62 of 100 columns: IoU 0.62, enough at 0.5, 0.55 and 0.6 of the ten thresholds
    loose = mean_average_precision([found(((0, 0, 62, 100), 0.9, 1))], [truth(((0, 0, 100, 100), 1))])
    assert (loose.map, loose.map_50, loose.map_75) == pytest.approx((0.3, 1, 0))
    # class 1 is found, class 2 is taken for class 1: precision 1 and 0
    mixed = mean_average_precision([found((A, 0.9, 1), (B, 0.8, 1))], [truth((A, 1), (B, 2))])
    assert mixed.map_50 == pytest.approx(0.5)


def test_nothing_found_is_zero_and_images_are_kept_apart() -> None:
    assert mean_average_precision([found()], [truth((A, 1))]).map == 0
    # the right boxes on the wrong images
    swapped = mean_average_precision([found((A, 0.9, 1)), found((B, 0.9, 1))], [truth((B, 1)), truth((A, 1))])
    assert swapped.map == 0


def test_precision_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="got 0 and 1"):
        mean_average_precision([], [truth((A, 1))])
    monkeypatch.setattr(average_precision, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"torchmetrics and pycocotools.*nas-explorer\[detection\]"):
        mean_average_precision([], [])
