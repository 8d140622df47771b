"""Semantic segmentation with a network of this project as the backbone, under torchvision's heads.

    network = load(features_only=True)  # an exported module, or a timm one, or an Arch
    model = segmenter(network, "deeplabv3", num_classes=21)
    scores = model(images)["out"]  # (N, C, H, W) → (N, 21, H, W)

Which map goes to which head is decided here; heads and losses are torchvision's.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torchvision.models.segmentation import FCN, DeepLabV3
from torchvision.models.segmentation.deeplabv3 import DeepLabHead
from torchvision.models.segmentation.fcn import FCNHead

from nas.detection.backbone import ArchFeatures, Map, Maps, check_maps, choose, described, input_channels, promised
from nas.errors import UserError
from search_spaces.arch import Arch
from search_spaces.part import one_of

KINDS = ("deeplabv3", "fcn")
USUAL = 16  # reduction of the map that is read: DeepLabV3's output stride in training
ATROUS = (96, 192, 288)  # px that the atrous rates span: 6, 12, 18 at reduction 16, twice that at 8 (Chen 2017)


class Named(nn.Module):
    """Maps under the names that torchvision's segmentation models read: `out`, and `aux` where there is one."""

    def __init__(self, maps: Maps) -> None:
        super().__init__()
        self.maps = maps

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        *finer, out = self.maps(x).values()
        return OrderedDict(out=out, **{"aux": finer[0]} if finer else {})


def segmenter(
    backbone: nn.Module | Arch,
    kind: str = "deeplabv3",
    *,
    num_classes: int,
    in_channels: int | None = None,
    reduction: int | None = None,
    auxiliary: int | None = None,
) -> nn.Module:
    """A segmentation model of torchvision's: (N, C, H, W) → {"out": (N, num_classes, H, W)}, and "aux" if asked for.

    Args:
        backbone: an exported network or a timm one loaded with `features_only=True`, or an Arch, which is built with
            fresh weights. Modules are used as they are, weights and all, not copied.
        kind: `deeplabv3`: atrous spatial pyramid pooling (Chen 2017, arXiv:1706.05587); in train mode it needs two
            images a batch. `fcn`: two convolutions (Long 2015, arXiv:1411.4038).
        num_classes: with the background, which is class 0.
        in_channels: of the images; by default what the module's first convolution reads, 3 for an Arch.
        reduction: of the map that is read, of those in `feature_info`; by default the coarsest up to 16, as small
            things vanish beyond. The backbone is not dilated.
        auxiliary: reduction of a finer map for a second head, whose loss helps training (torchvision weighs it 0.5).

    Raises:
        UserError: a value outside of these rules, or a backbone that does not return what it says.
    """
    if kind not in KINDS:
        raise UserError(f"a segmentation model is {one_of(kind, list(KINDS))}, but got {kind!r}")
    if num_classes < 2:
        raise UserError(f"num_classes counts the background too, so it must be at least 2, but got {num_classes}")
    there = promised(backbone, in_channels or 3) if isinstance(backbone, Arch) else described(backbone)
    reads = _chosen(there, reduction, auxiliary)
    network = ArchFeatures(backbone, in_channels or 3, reads[-1].reduction) if isinstance(backbone, Arch) else backbone
    channels = input_channels(network)
    if in_channels not in (None, channels):
        raise UserError(f"in_channels must be what the backbone reads, {channels}, but got {in_channels}")
    check_maps(network, reads, channels, 2 * there[-1].reduction)
    aux = FCNHead(reads[0].channels, num_classes) if auxiliary else None
    features, out = Named(Maps(network, reads)), reads[-1]
    model: nn.Module
    if kind == "fcn":
        model = FCN(features, FCNHead(out.channels, num_classes), aux)
    else:
        rates = [max(1, span // out.reduction) for span in ATROUS]
        model = DeepLabV3(features, DeepLabHead(out.channels, num_classes, rates), aux)
    return model


def _chosen(there: list[Map], reduction: int | None, auxiliary: int | None) -> list[Map]:
    """The maps to read, finest first: the auxiliary head's, if any, and the one that is segmented by."""
    if reduction is None:
        reduction = max((m.reduction for m in there if m.reduction <= USUAL), default=there[0].reduction)
    if auxiliary is not None and auxiliary >= reduction:
        raise UserError(
            f"an auxiliary head reads a finer map than the one at reduction {reduction}, but got {auxiliary}"
        )
    return choose(there, [reduction] if auxiliary is None else [auxiliary, reduction], reduction)
