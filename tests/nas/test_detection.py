"""Networks under torchvision's detection heads, and the definitions that detection rests on, worked by hand."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from torchvision.models.detection.roi_heads import fastrcnn_loss
from torchvision.ops import batched_nms, box_iou, nms

from nas import data as datasets
from nas.build import build
from nas.detection import (
    KINDS,
    ArchFeatures,
    FastRCNN,
    average_precision,
    compose,
    detector,
    mean_average_precision,
    multi_task_loss,
    sliding_windows,
)
from nas.detection.composed import SHADE, Scenes
from nas.detection.fast_rcnn import LastMapPool
from nas.errors import UserError
from nas.exporters.python_module import export
from nas.packaging.package import Package
from search_spaces.arch import Arch

TINY = Arch.parse(
    "r64 | conv_stem(width=8) | inverted_residual(expand=1) c8 | inverted_residual(expand=2) c12 s2 "
    "| inverted_residual(expand=2) c16 s2 | inverted_residual(expand=2) c24 s2 | pool_head"
)
DATA = datasets.load("fashion-subset")
SIDE = 64


def scenes(count: int, **options: Any) -> Scenes:
    return compose(DATA, "train", count, **{"size": SIDE, "objects": (1, 2), "scale": (0.7, 1.0), **options})


def tiny(kind: str, backbone: nn.Module | Arch = TINY, **options: Any) -> nn.Module:
    """A detector small enough to train for a test."""
    reductions = {"fast_rcnn": (4,), "faster_rcnn": (4, 8), "ssd": (4, 8, 16)}[kind]
    few = {"rpn_pre_nms_top_n_train": 100, "rpn_post_nms_top_n_train": 30, "box_batch_size_per_image": 16}
    given: dict[str, Any] = {
        "min_size": SIDE,
        "max_size": SIDE,
        "reductions": reductions,
        "channels": 16,
        "head_width": 32,
    }
    given["options"] = few if kind == "faster_rcnn" else {}
    return detector(backbone, kind, num_classes=11, **{**given, **options})


def exported(folder: Path, arch: Arch, in_channels: int) -> tuple[nn.Module, nn.Module]:
    """A network as it was built, and its export's feature maps, loaded from the file."""
    network = build(arch, in_channels, 10)
    export(Package(arch, in_channels, 10, network.state_dict()), folder)
    spec = importlib.util.spec_from_file_location("exported_backbone", folder / "network.py")
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return network, module.load(features_only=True)


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


# ------------------------------------------------------------------ Fast R-CNN's parts, by hand


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


# ------------------------------------------------------------------------------------ backbones


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


# ------------------------------------------------------------------------------- composed scenes


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


# ------------------------------------------------------------------------------------- learning


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_loss_falls_within_a_few_steps(kind: str) -> None:
    torch.manual_seed(0)
    model = tiny(kind, TINY, in_channels=1, mean=[0.2], std=[0.3])
    images, targets = scenes(2).batch(torch.arange(2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    curve = []
    for _ in range(12):
        loss = multi_task_loss(model(images, targets))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        curve.append(float(loss.detach()))
    assert sum(curve[-3:]) < 0.7 * sum(curve[:3])
