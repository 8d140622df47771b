"""Networks under torchvision's segmentation heads."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F

from nas import data as datasets
from nas.detection import ArchFeatures
from nas.errors import UserError
from nas.segmentation import KINDS, segmenter
from search_spaces.arch import Arch
from tests.nas.detection.small import TINY, exported


@pytest.mark.parametrize("kind", KINDS)
def test_an_export_is_segmented_by_its_own_maps(kind: str, tmp_path: Path) -> None:
    network, backbone = exported(tmp_path, TINY, 1)
    backbone.load_state_dict(network.state_dict(), strict=False)
    model = segmenter(backbone, kind, num_classes=5, auxiliary=4).eval()
    images = torch.randn(2, 1, 70, 64)
    with torch.no_grad():
        found, maps = model(images), dict(zip((2, 4, 8, 16), backbone.eval()(images), strict=True))
        out = F.interpolate(model.classifier(maps[16]), size=(70, 64), mode="bilinear", align_corners=False)
        aux = F.interpolate(model.aux_classifier(maps[4]), size=(70, 64), mode="bilinear", align_corners=False)
    assert found["out"].shape == found["aux"].shape == (2, 5, 70, 64)
    torch.testing.assert_close(found["out"], out)
    torch.testing.assert_close(found["aux"], aux)
    assert "aux" not in segmenter(TINY, kind, num_classes=5)(torch.randn(2, 3, 64, 64))


def test_atrous_rates_follow_the_reduction() -> None:
    for reduction, rates in ((16, [6, 12, 18]), (8, [12, 24, 36])):
        model = segmenter(TINY, num_classes=2, reduction=reduction)
        assert [part.dilation[0] for part in model.modules() if getattr(part, "dilation", (1,))[0] != 1] == rates


def test_a_timm_network_is_a_backbone_too() -> None:
    backbone = timm.create_model("mobilenetv3_small_050", features_only=True)
    assert segmenter(backbone, "fcn", num_classes=3).eval()(torch.randn(1, 3, 64, 64))["out"].shape == (1, 3, 64, 64)


def test_it_learns_where_things_are() -> None:
    """Clothes against their background: pixels from grey level 16 on."""
    images = datasets.load("fashion-subset").train.images[:32]
    targets, inputs = (images[:, 0] >= 16).long(), (images.float() / 255 - 0.3) / 0.35
    torch.manual_seed(0)
    model = segmenter(TINY, "fcn", num_classes=2, in_channels=1, reduction=2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(30):
        loss = F.cross_entropy(model(inputs)["out"], targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        right = (model(inputs)["out"].argmax(1) == targets).double().mean()
    common = max(targets.double().mean(), 1 - targets.double().mean())
    assert right > (1 + common) / 2  # better than the commoner class everywhere by half of what it leaves


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kind": "unet"}, "a segmentation model is one of deeplabv3, fcn"),
        ({"num_classes": 1}, "at least 2, but got 1"),
        ({"reduction": 5}, r"those that the backbone has maps at, \[2, 4, 8, 16\]"),
        ({"auxiliary": 16}, "a finer map than the one at reduction 16, but got 16"),
    ],
)
def test_mistakes_are_sentences(options: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        segmenter(TINY, **{"num_classes": 2, **options})  # type: ignore[arg-type]


def test_a_backbone_that_returns_logits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="feature_info"):
        segmenter(nn.Conv2d(3, 3, 1), num_classes=2)
    with pytest.raises(UserError, match="must be what the backbone reads, 3, but got 1"):
        segmenter(ArchFeatures(Arch.parse(str(TINY))), num_classes=2, in_channels=1)
