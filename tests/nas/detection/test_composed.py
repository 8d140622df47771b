"""Scenes composed of images: boxes that are true, seeds that repeat."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.ops import box_iou

from nas.detection import compose
from nas.detection.composed import SHADE
from nas.errors import UserError
from tests.nas.detection.small import DATA, scenes


def test_boxes_hold_the_pasted_pixels_and_are_tight() -> None:
    found = scenes(30, noise=0, objects=(1, 4), size=96)
    assert max(len(target["labels"]) for target in found.targets) > 2
    for image, target in zip(found.images, found.targets, strict=True):
        assert len(target["labels"]) == len(target["boxes"]) >= 1
        inside = torch.zeros(96, 96, dtype=torch.bool)
        for x1, y1, x2, y2 in target["boxes"].int().tolist():
            inside[y1:y2, x1:x2] = True
            patch = image[0, y1:y2, x1:x2] > 0
            for edge in (patch[0], patch[-1], patch[:, 0], patch[:, -1]):
                assert edge.any()
        assert not image[0, ~inside].any()
        shares = box_iou(target["boxes"], target["boxes"]) - torch.eye(len(target["boxes"]))
        assert shares.max() <= 0.1


def test_an_object_is_an_image_of_its_class_and_split() -> None:
    found = compose(DATA, "val", 12, size=64, objects=(1, 1), scale=(1, 1), noise=0, seed=3)
    bright = torch.where(DATA.val.images >= SHADE, DATA.val.images, torch.zeros_like(DATA.val.images))[:, 0]
    for image, target in zip(found.images, found.targets, strict=True):
        x1, y1, x2, y2 = target["boxes"][0].int().tolist()
        same_class = bright[DATA.val.labels + 1 == target["labels"][0]]
        assert any(torch.equal(_cut(candidate), image[0, y1:y2, x1:x2]) for candidate in same_class)


def _cut(image: Tensor) -> Tensor:
    rows, columns = torch.nonzero(image.any(1))[:, 0], torch.nonzero(image.any(0))[:, 0]
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def test_the_same_seed_composes_the_same_scenes() -> None:
    one, same, other = scenes(4, seed=5), scenes(4, seed=5), scenes(4, seed=6)
    assert torch.equal(one.images, same.images)
    assert all(torch.equal(a[k], b[k]) for a, b in zip(one.targets, same.targets, strict=True) for k in a)
    assert not torch.equal(one.images, other.images)
    assert one.classes == ("background", *DATA.classes)
    mean, std = one.moments
    torch.testing.assert_close(torch.tensor(mean), (one.images.float() / 255).mean((0, 2, 3)))
    assert len(std) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"size": 20},
        {"scale": (0.0, 1.0)},
        {"scale": (1.2, 1.0)},
        {"objects": (0, 2)},
        {"count": 0},
        {"noise": -1},
        {"noise": 256},
    ],
)
def test_scenes_that_cannot_be_are_told(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="must"):
        compose(DATA, "train", **{"count": 2, **options})


def test_a_split_that_is_not_there_is_told() -> None:
    with pytest.raises(UserError, match="a split is one of train, val, test, but got 'validation'"):
        compose(DATA, "validation", 2)
