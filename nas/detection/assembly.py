"""One function that puts a network under torchvision's detection heads."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nas.detection import fast_rcnn, faster_rcnn, ssd
from nas.detection.backbone import (
    ArchFeatures,
    Map,
    Maps,
    check_maps,
    choose,
    described,
    input_channels,
    promised,
)
from nas.detection.plan import Plan
from nas.errors import UserError
from search_spaces.arch import Arch
from search_spaces.part import one_of

KINDS = {"fast_rcnn": fast_rcnn.make, "faster_rcnn": faster_rcnn.make, "ssd": ssd.make}
FINEST = {"faster_rcnn": 4, "ssd": 8}  # the FPN's C2; SSD's 38×38 cells of 300 px
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def detector(
    backbone: nn.Module | Arch,
    kind: str = "faster_rcnn",
    *,
    num_classes: int,
    in_channels: int | None = None,
    min_size: int = 800,
    max_size: int = 1333,
    reductions: Sequence[int] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    channels: int = 256,
    head_width: int = 1024,
    options: Mapping[str, Any] | None = None,
) -> nn.Module:
    """A detection model of torchvision's with `backbone` as its feature extractor.

    Its inputs and outputs are torchvision's: a list of images (C, H, W) from 0 to 1, and in train mode for each a
    target {"boxes": (K, 4) as x1, y1, x2, y2 in px, "labels": (K,) int64 from 1}. In train mode it returns a dict
    of losses (see `multi_task_loss`), in eval mode for each image {"boxes", "labels", "scores"}.

    Args:
        backbone: an exported network or a timm one loaded with `features_only=True` (any module that returns a
            list of maps and has timm's `feature_info`), or an Arch, which is built with fresh weights. Modules are
            used as they are, weights and all, not copied. Batch norms train: give them 8 images a step or more.
        kind:
            `faster_rcnn`: FPN, RPN, RoIAlign to 7×7 (Ren 2015, arXiv:1506.01497; Lin 2017, arXiv:1612.03144);
            `fast_rcnn`: RoI pooling to 7×7 of one map, proposals from outside (Girshick 2015, arXiv:1504.08083),
            see `FastRCNN`;
            `ssd`: default boxes on several maps, smaller ones added until 1×1 (Liu 2016, arXiv:1512.02325).
        num_classes: classes with the background, which is class 0: torchvision's way of counting.
        in_channels: of the images; by default what the module's first convolution reads, 3 for an Arch.
        min_size: px that the images' shorter side is resized to; `ssd` resizes to min_size × min_size.
        max_size: px that the longer side may have; not read by `ssd`.
        reductions: at which reductions to take maps, of those in `feature_info`. By default from 4 on
            (`faster_rcnn`), from 8 on (`ssd`), the last (`fast_rcnn`, which reads one map only). On small images
            take finer ones: an object of 30 px is one cell at reduction 32. `faster_rcnn` needs powers of two
            without gaps.
        mean, std: a number a channel, of the images the backbone was trained on (an export's .json tells them);
            by default ImageNet's, their average for other than 3 channels.
        channels: of the FPN's maps (`faster_rcnn`) and of SSD's added maps.
        head_width: of the two linear layers that read pooled RoIs.
        options: more arguments of torchvision's `FasterRCNN`, `SSD` or (`fast_rcnn`) `RoIHeads`; they win.

    Anchors of `faster_rcnn` suit the image size: from 0.64 of min_size on the coarsest level, halving with each
    finer one, at ratios 1:2, 1:1 and 2:1, and RoIs meet their level in the same proportion; at 800 px and five
    levels that is the FPN's paper.

    Raises:
        UserError: a value outside of these rules, or a backbone that does not return what it says.
    """
    _check(kind, num_classes, min_size, max_size, channels, head_width)
    maps, reads = _checked_maps(backbone, kind, in_channels, reductions, min_size)
    return KINDS[kind](
        Plan(
            maps=maps,
            num_classes=num_classes,
            min_size=min_size,
            max_size=max_size,
            mean=_moments("mean", mean, reads),
            std=_moments("std", std, reads),
            channels=channels,
            head_width=head_width,
            options=options or {},
        )
    )


def multi_task_loss(losses: Mapping[str, Tensor], box_weight: float = 1.0) -> Tensor:
    """Log loss + λ · [u ≥ 1] · smooth L1 (Girshick 2015, equation 1), λ = `box_weight`: a scalar to descend on.

    losses: what a detector returns in train mode. torchvision has applied [u ≥ 1], no box loss for background,
    and divided both terms by the number of sampled RoIs (SSD: of matched boxes). The RPN's terms are of this form too.
    """
    return torch.stack([box_weight * loss if "box" in name else loss for name, loss in losses.items()]).sum()


def _checked_maps(
    backbone: nn.Module | Arch, kind: str, in_channels: int | None, reductions: Sequence[int] | None, min_size: int
) -> tuple[Maps, int]:
    """The maps that the detector reads, held against one image of its size, and the channels of such images."""
    network, chosen = _read(backbone, kind, in_channels, reductions)
    reads = input_channels(network)
    if in_channels not in (None, reads):
        raise UserError(f"in_channels must be what the backbone reads, {reads}, but got {in_channels}")
    step = 1 if kind == "ssd" else chosen[-1].reduction  # the others pad
    check_maps(network, chosen, reads, math.ceil(min_size / step) * step)
    return Maps(network, chosen), reads


def _read(
    backbone: nn.Module | Arch, kind: str, in_channels: int | None, reductions: Sequence[int] | None
) -> tuple[nn.Module, list[Map]]:
    """The network and those of its maps that are wanted; an Arch is built no deeper than that."""
    maps = promised(backbone, in_channels or 3) if isinstance(backbone, Arch) else described(backbone)
    chosen = choose(maps, reductions, FINEST.get(kind, maps[-1].reduction))
    if kind == "fast_rcnn" and len(chosen) > 1:
        got = list(reductions or ())
        raise UserError(f"fast_rcnn reads one map, so reductions must hold one number, but got {got}")
    if isinstance(backbone, Arch):
        return ArchFeatures(backbone, in_channels or 3, chosen[-1].reduction), chosen
    return backbone, chosen


def _check(kind: str, num_classes: int, min_size: int, max_size: int, channels: int, head_width: int) -> None:
    if kind not in KINDS:
        raise UserError(f"a detector is {one_of(kind, list(KINDS))}, but got {kind!r}")
    if num_classes < 2:
        raise UserError(f"num_classes counts the background too, so it must be at least 2, but got {num_classes}")
    if min_size < 1 or (kind != "ssd" and max_size < min_size):
        raise UserError(f"1 <= min_size <= max_size must hold, but got min_size {min_size} and max_size {max_size}")
    if channels < 1 or head_width < 1:
        raise UserError(f"channels and head_width must be at least 1, but got {channels} and {head_width}")


def _moments(name: str, given: Sequence[float] | None, in_channels: int) -> list[float]:
    """A mean or a deviation for each channel."""
    if given is None:
        known = IMAGENET[name]
        return list(known) if in_channels == len(known) else [sum(known) / len(known)] * in_channels
    if len(given) != in_channels or (name == "std" and min(given) <= 0):
        number = "positive number" if name == "std" else "number"
        raise UserError(f"{name} must be a {number} for each of {in_channels} channels, but got {list(given)}")
    return [float(value) for value in given]
