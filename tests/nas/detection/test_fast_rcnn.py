"""Fast R-CNN's parts, by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torchvision.models.detection.roi_heads import fastrcnn_loss

from nas.detection import multi_task_loss, sliding_windows
from nas.detection.fast_rcnn import LastMapPool


def test_roi_pooling_takes_the_largest_of_each_of_49_bins() -> None:
    # a map of 16 × 16 that counts up along rows, at reduction 2; the box of px 4 to 30 is cells 2 to 15 (both
    # ends belong to it), 14 × 14 of them, so bins are 2 × 2 and the largest is the right lower one
    features = torch.arange(256, dtype=torch.float).view(1, 1, 16, 16)
    pooled = LastMapPool(2)({"0": features.flip(-1), "1": features}, [torch.tensor([[4.0, 4, 30, 30]])], [(32, 32)])
    last = torch.arange(7) * 2 + 3
    assert pooled.shape == (1, 1, 7, 7)
    assert torch.equal(pooled[0, 0], (last[:, None] * 16 + last).float())


def test_the_loss_of_fast_rcnn() -> None:
    # RoI 1 is of class 2: softmax of (0, 0, ln 2) gives it 2/4, log loss ln 2.
    # RoI 2 is background: softmax of (ln 6, 0, 0) gives it 6/8, log loss ln 4/3.
    logits = torch.tensor([[0, 0, math.log(2)], [math.log(6), 0, 0]], requires_grad=True)
    # Box errors of RoI 1 at class 2: 0.05, 1, −2, 0. Smooth L1 that bends at β = 1/9 is x²/2β below, |x| − β/2
    # above: 0.05² · 9 / 2 = 0.01125, 1 − 1/18, 2 − 1/18, 0. Those at other classes and of RoI 2 do not count.
    boxes = torch.full((2, 12), 100.0)
    boxes[0, 8:] = torch.tensor([0.05, 2, 1, 4])
    boxes.requires_grad_()
    targets = torch.tensor([[0, 1, 3, 4], [0, 0, 0, 0]]).float()
    log_loss, box_loss = fastrcnn_loss(logits, boxes, [torch.tensor([2, 0])], [targets])
    by_hand = (math.log(2) + math.log(4 / 3)) / 2, (0.01125 + 1 + 2 - 1 / 9) / 2  # both over 2 RoIs
    assert (float(log_loss.detach()), float(box_loss.detach())) == pytest.approx(by_hand)
    total = multi_task_loss({"loss_classifier": log_loss, "loss_box_reg": box_loss}, box_weight=10)
    assert float(total.detach()) == pytest.approx(by_hand[0] + 10 * by_hand[1])
    total.backward()
    assert boxes.grad is not None
    assert torch.equal(torch.nonzero(boxes.grad), torch.tensor([[0, 8], [0, 9], [0, 10]]))  # no box loss for u = 0


def test_sliding_windows_cover_the_image() -> None:
    windows = sliding_windows(40, 60)
    covered = torch.zeros(40, 60, dtype=torch.bool)
    for x1, y1, x2, y2 in windows.round().int().tolist():
        covered[y1:y2, x1:x2] = True
    assert covered.all()
    assert (windows[:, 2:] > windows[:, :2]).all()
    assert windows.min() >= 0
    assert (windows.amax(0) <= torch.tensor([60.001, 40.001, 60.001, 40.001])).all()
