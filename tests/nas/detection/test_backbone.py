"""Networks and exports as backbones of torchvision's detectors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from nas.detection import KINDS, ArchFeatures, FastRCNN, detector, multi_task_loss
from nas.errors import UserError
from search_spaces.arch import Arch
from tests.nas.detection.small import SIDE, TINY, exported, scenes, tiny


@pytest.mark.parametrize(
    "text",
    [
        str(TINY),
        # the stem strides twice, dense blocks begin with a norm and an activation that works in place
        "r64 eps=0.001 | conv_stem(width=8, pool=true) | dense(layers=2) c16 | dense(layers=2) c16 s2 | pool_head",
        "r64 | conv_stem(width=8, norm=false) | max_pool c8 s2 | fire(norm=false) c16 | max_pool c16 s2 "
        "| fire(norm=false) c24 n2 | conv_head",
    ],
)
def test_an_architecture_returns_the_maps_of_its_export(tmp_path: Path, text: str) -> None:
    network, theirs = exported(tmp_path, Arch.parse(text), 3)
    ours = ArchFeatures(Arch.parse(text))
    ours.load_state_dict({k: v for k, v in network.state_dict().items() if not k.startswith("head.")})
    images = torch.randn(2, 3, SIDE, SIDE)
    expected = theirs.eval()(images)
    assert ours.feature_info == theirs.feature_info
    for mine, its, info in zip(ours.eval()(images), expected, ours.feature_info, strict=True):
        torch.testing.assert_close(mine, its)
        assert mine.shape[1] == info["num_chs"]


def test_a_map_that_is_kept_is_not_written_over() -> None:
    # no block of today begins with an activation; one of tomorrow may
    features, images = ArchFeatures(TINY).eval(), torch.randn(2, 3, SIDE, SIDE)
    before = features(images)[1].clone()
    assert before.min() < 0
    features.add_module("stage3", nn.Sequential(nn.ReLU(inplace=True), features.get_submodule("stage3")))
    features.steps = [replace(step, writes=step.module == "stage3") for step in features.steps]
    assert torch.equal(features(images)[1], before)


def test_stages_that_no_map_needs_are_not_built() -> None:
    names = {name.partition(".")[0] for name in ArchFeatures(TINY, coarsest=4).state_dict()}
    assert names == {"stem", "stage1", "stage2"}


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("in_channels", [1, 3])
def test_an_export_is_a_backbone(tmp_path: Path, kind: str, in_channels: int) -> None:
    _, network = exported(tmp_path, TINY, in_channels)
    model = tiny(kind, network)
    images = [torch.rand(in_channels, SIDE, SIDE), torch.rand(in_channels, 50, 60)]  # sizes may differ
    boxes = torch.tensor([[4.0, 4, 24, 30], [30, 20, 50, 48]])
    targets = [{"boxes": boxes, "labels": torch.tensor([1, 10])}, {"boxes": boxes[:1], "labels": torch.tensor([3])}]
    losses = model(images, targets)
    assert all(loss.isfinite() for loss in losses.values())
    multi_task_loss(losses).backward()
    unused = {"fast_rcnn": ("stage3", "stage4"), "faster_rcnn": ("stage4",), "ssd": ()}[kind]
    for name, parameter in network.named_parameters():
        if not name.startswith(unused):
            assert parameter.grad is not None, name
    first = next(network.parameters())
    assert first.grad is not None
    assert first.grad.abs().sum() > 0
    assert any(parameter is first for parameter in model.parameters())  # not a copy
    detections = model.eval()(images)
    assert len(detections) == 2
    for image, detected in zip(images, detections, strict=True):
        height, width = image.shape[-2:]
        assert len(detected["boxes"]) == len(detected["labels"]) == len(detected["scores"]) > 0
        assert (detected["boxes"].amax(0) <= torch.tensor([width, height, width, height]) + 1e-3).all()
        assert detected["boxes"].min() >= 0
        assert 1 <= detected["labels"].min() <= detected["labels"].max() <= 10
        assert 0 < detected["scores"].min() <= detected["scores"].max() <= 1


def test_a_timm_network_is_a_backbone() -> None:
    network = timm.create_model("mobilenetv3_small_050", features_only=True, out_indices=(1, 2, 3), in_chans=1)
    model = tiny("faster_rcnn", network, reductions=(8, 16))
    image = scenes(2)
    assert all(loss.isfinite() for loss in model(*image.batch(torch.arange(2))).values())


def test_parts_that_were_frozen_stay_so() -> None:
    network = ArchFeatures(TINY)
    network.get_submodule("stem").eval()
    tiny("ssd", network)
    assert network.training
    assert not network.get_submodule("stem").training
    assert network.get_submodule("stage1").training


def test_defaults_are_those_of_the_pyramid_paper() -> None:
    model: Any = detector(TINY.at(224), num_classes=91, reductions=(4, 8, 16), min_size=400)
    # half the size and a level less: anchors of 256 px on the coarsest level, as 512 on 800 px
    assert model.rpn.anchor_generator.sizes == ((32,), (64,), (128,), (256,))
    pool = model.roi_heads.box_roi_pool
    assert pool.scales == [1 / 4, 1 / 8, 1 / 16]
    # anchors are 8 cells wide: RoIs of 224 px belong to reduction 16, of 223 and 112 to 8, of 111 to 4
    sides = torch.tensor([224.0, 223, 112, 111])
    boxes = torch.stack([torch.zeros(4), torch.zeros(4), sides, sides], 1)
    assert pool.map_levels([boxes]).tolist() == [2, 1, 1, 0]
    assert model.roi_heads.box_head.fc6.in_features == 256 * 7 * 7
    # half the image, half the anchors on the same maps: RoIs of half the size come to the same levels
    small: Any = detector(TINY.at(224), num_classes=91, reductions=(4, 8, 16), min_size=200)
    assert small.rpn.anchor_generator.sizes == ((16,), (32,), (64,), (128,))
    assert small.roi_heads.box_roi_pool.map_levels([boxes / 2]).tolist() == [2, 1, 1, 0]


@pytest.mark.parametrize(
    ("in_channels", "given", "expected"),
    [
        (1, {}, [(0.485 + 0.456 + 0.406) / 3]),
        (3, {}, [0.485, 0.456, 0.406]),
        (1, {"mean": [0.25], "std": [0.5]}, [0.25]),
    ],
)
def test_images_are_normalised_by_as_many_channels_as_they_have(
    in_channels: int, given: dict[str, Any], expected: list[float]
) -> None:
    model: Any = tiny("ssd", TINY, in_channels=in_channels, **given)
    assert model.transform.image_mean == pytest.approx(expected)
    assert len(model.transform.image_std) == in_channels


@pytest.mark.parametrize(
    ("backbone", "kind", "options", "said"),
    [
        (TINY, "yolo", {}, "fast_rcnn, faster_rcnn, ssd, but got 'yolo'"),
        (TINY, "ssd", {"num_classes": 1}, "at least 2, but got 1"),
        (TINY, "ssd", {"reductions": (4, 7)}, r"\[2, 4, 8, 16\], but got \[4, 7\]"),
        (TINY, "fast_rcnn", {"reductions": (4, 8)}, r"one number, but got \[4, 8\]"),
        (TINY, "fast_rcnn", {"reductions": 4}, r"a sequence, such as \(4,\), but got 4"),
        (TINY, "faster_rcnn", {"reductions": (4, 16)}, "without gaps"),
        (TINY, "faster_rcnn", {"min_size": 100, "max_size": 60}, "min_size 100 and max_size 60"),
        (TINY, "ssd", {"mean": [0.5]}, "3 channels, but got"),
        (TINY, "ssd", {"in_channels": 1, "std": [0.0]}, "positive number for each of 1 channels"),
        (TINY, "ssd", {"options": {"nms": 0.5}}, "nms_thresh.*'nms'"),
        (TINY, "fast_rcnn", {"options": {"box_nms_thresh": 0.5}}, "box_nms_thresh"),
        (ArchFeatures(TINY, 1), "ssd", {"in_channels": 3}, "reads, 1, but got 3"),
        (nn.Conv2d(3, 8, 3), "ssd", {}, "Conv2d without it; load an export"),
        (timm.create_model("mobilenetv3_small_050"), "ssd", {}, "features_only=True"),
    ],
)
def test_mistakes_are_told_in_a_sentence(
    backbone: nn.Module | Arch, kind: str, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        detector(backbone, kind, **{"num_classes": 11, "min_size": SIDE, "max_size": SIDE, **options})


def test_fast_rcnn_says_what_is_missing() -> None:
    model = tiny("fast_rcnn", TINY, in_channels=1)
    assert isinstance(model, FastRCNN)
    images, targets = scenes(2).batch(torch.arange(2))
    with pytest.raises(UserError, match="training needs targets"):
        model(images)
    with pytest.raises(UserError, match=r"each of the 2 images.*\(3, 5\)"):
        model(images, targets, [torch.zeros(3, 5), torch.zeros(3, 4)])


def test_proposals_are_in_px_of_the_image_as_it_came() -> None:
    model: Any = tiny("fast_rcnn", TINY).eval()
    pooled: list[list[Tensor]] = []
    model.roi_heads.box_roi_pool.register_forward_hook(lambda part, given, out: pooled.append(given[1]))
    # 32 px become 64; what lies outside of the image is cut off
    model([torch.rand(3, 32, 32)], proposals=[torch.tensor([[1, 2, 11, 17], [20, 0, 40, 10]]).float()])
    assert pooled[0][0].tolist() == [[2, 4, 22, 34], [40, 0, 64, 20]]
