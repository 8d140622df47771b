"""MnasNet-B1 (Tan 2018, arXiv:1807.11626) at the depth multipliers of torchvision's weights."""

from search_spaces.arch import Arch, Stage
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.inverted_residual import InvertedResidual
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.layers import divisible
from search_spaces.zoo.network import Judge, Network, Place, Published

TABLE = (  # kernel, expansion, c, n, s
    (3, 1, 16, 1, 1),
    (3, 3, 24, 3, 2),
    (5, 3, 40, 3, 2),
    (5, 6, 80, 3, 2),
    (3, 6, 96, 2, 1),
    (5, 6, 192, 4, 2),
    (3, 6, 320, 1, 1),
)


def mnasnet(width: float = 1.0) -> Arch:
    """Widths scale all channels but those of the last convolution."""
    stages = (Stage(InvertedResidual(k, t, act="relu"), divisible(c * width), n, s) for k, t, c, n, s in TABLE)
    return Arch(224, ConvStem(divisible(32 * width)), tuple(stages), PoolHead(width=1280, dropout=0.2))


def torchvision(at: Place) -> str:
    """The layer's name in torchvision's `mnasnet1_0`, which numbers activations too: 0, 1; 3, 4; 6, 7."""
    if at.layer == "classifier":
        return "classifier.1"
    kind = 0 if at.layer.endswith("conv") else 1
    if at.part == "stem":
        return f"layers.{kind}"
    if at.part == "head":
        return f"layers.{14 + kind}"
    if at.stage == 1:  # a depthwise separable convolution among the layers themselves
        return f"layers.{3 + 3 * at.place + kind}"
    return f"layers.{6 + at.stage}.{at.block}.layers.{3 * at.place + kind}"


NETWORKS = [
    Network(
        name,
        mnasnet(width),
        "Tan 2018, arXiv:1807.11626",
        Published(macs, params, top1, "torchvision IMAGENET1K_V1"),
        Judge("torchvision", name, torchvision),
    )
    for name, width, macs, params, top1 in (
        ("mnasnet1_0", 1.0, "0.314G", "4383312", 73.456),
        ("mnasnet1_3", 1.3, "0.526G", "6282256", 76.506),
        ("mnasnet0_75", 0.75, "0.215G", "3170208", 71.18),
        ("mnasnet0_5", 0.5, "0.104G", "2218512", 67.734),
    )
]
