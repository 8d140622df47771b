"""EfficientNet (Tan 2019, arXiv:1905.11946): B0 of table 1, and B1 to B7 by scaling it."""

from dataclasses import replace

from search_spaces.arch import Arch, Stage
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.inverted_residual import InvertedResidual
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.scaling import scale
from search_spaces.zoo.network import Judge, Network, Place, Published
from search_spaces.zoo.tables import NORM

TABLE = (  # kernel, expansion, c, n, s
    (3, 1, 16, 1, 1),
    (3, 6, 24, 2, 2),
    (5, 6, 40, 2, 2),
    (3, 6, 80, 3, 2),
    (5, 6, 112, 3, 1),
    (5, 6, 192, 4, 2),
    (3, 6, 320, 1, 1),
)
HEAD = PoolHead(1280, "silu", 0.2)
B0 = Arch(
    224,
    ConvStem(32, act="silu"),
    tuple(Stage(InvertedResidual(k, t, 0.25, "silu"), c, n, s) for k, t, c, n, s in TABLE),
    HEAD,
)
SCALED = (  # width, depth, resolution, dropout, and the batch norms' eps in torchvision
    (1.0, 1.0, 224, 0.2, 1e-5),
    (1.0, 1.1, 240, 0.2, 1e-5),
    (1.1, 1.2, 260, 0.3, 1e-5),
    (1.2, 1.4, 300, 0.3, 1e-5),
    (1.4, 1.8, 380, 0.4, 1e-5),
    (1.6, 2.2, 456, 0.4, 1e-3),
    (1.8, 2.6, 528, 0.5, 1e-3),
    (2.0, 3.1, 600, 0.5, 1e-3),
)
PUBLISHED = (  # multiply-adds and parameters of torchvision, the paper's top-1 (table 2), the resolution of the first
    ("0.386G", "5288548", 77.1, 224),
    ("0.687G", "7794184", 79.1, 240),
    ("1.088G", "9109994", 80.1, 288),
    ("1.827G", "12233232", 81.6, 300),
    ("4.394G", "19341616", 82.9, 380),
    ("10.266G", "30389784", 83.6, 456),
    ("19.068G", "43040704", 84.0, 528),
    ("37.746G", "66347960", 84.3, 600),
)


def efficientnet(number: int) -> Arch:
    """B`number`, out of B0."""
    width, depth, resolution, dropout, eps = SCALED[number]
    scaled = scale(B0, depth, width, rounding="ceil").at(resolution)
    return replace(scaled, head=replace(HEAD.widened(width), dropout=dropout), eps=eps)


def torchvision(at: Place) -> str:
    """The layer's name in torchvision's `efficientnet_b0` … `efficientnet_b7`."""
    if at.part == "stem":
        return f"features.0.{NORM[at.layer]}"
    if at.part == "head":
        return "classifier.1" if at.layer == "classifier" else f"features.8.{NORM[at.layer.split('.')[1]]}"
    *names, kind = at.layer.split(".")
    inner = {"reduce": "fc1", "expand": "fc2"}[kind] if names[0] == "se" else NORM[kind]
    return f"features.{at.stage}.{at.block}.block.{at.place}.{inner}"


NETWORKS = [
    Network(
        f"efficientnet_b{i}",
        efficientnet(i),
        "Tan 2019, arXiv:1905.11946",
        Published(
            macs, params, top1, "torchvision; accuracy of the paper's table 2", at=at if at != SCALED[i][2] else None
        ),
        Judge("torchvision", f"efficientnet_b{i}", torchvision),
    )
    for i, (macs, params, top1, at) in enumerate(PUBLISHED)
]
