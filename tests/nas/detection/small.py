"""A small network, scenes and detectors that the tests of detection share."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from nas import data as datasets
from nas.build import build
from nas.detection import compose, detector
from nas.detection.composed import Scenes
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
