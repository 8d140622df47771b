"""MobileNetV3 large and small (Howard 2019, arXiv:1905.02244), tables 1 and 2."""

from search_spaces.arch import Arch, Stage
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.inverted_residual import InvertedResidual
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.layers import divisible
from search_spaces.zoo.network import Judge, Network, Place, Published
from search_spaces.zoo.tables import NORM, merged

SE = 0.25  # of the hidden channels
LARGE = (  # kernel, hidden channels (exp size), channels, SE, activation, stride
    (3, 16, 16, 0, "relu", 1),
    (3, 64, 24, 0, "relu", 2),
    (3, 72, 24, 0, "relu", 1),
    (5, 72, 40, SE, "relu", 2),
    (5, 120, 40, SE, "relu", 1),
    (5, 120, 40, SE, "relu", 1),
    (3, 240, 80, 0, "hardswish", 2),
    (3, 200, 80, 0, "hardswish", 1),
    (3, 184, 80, 0, "hardswish", 1),
    (3, 184, 80, 0, "hardswish", 1),
    (3, 480, 112, SE, "hardswish", 1),
    (3, 672, 112, SE, "hardswish", 1),
    (5, 672, 160, SE, "hardswish", 2),
    (5, 960, 160, SE, "hardswish", 1),
    (5, 960, 160, SE, "hardswish", 1),
)
SMALL = (
    (3, 16, 16, SE, "relu", 2),
    (3, 72, 24, 0, "relu", 2),
    (3, 88, 24, 0, "relu", 1),
    (5, 96, 40, SE, "hardswish", 2),
    (5, 240, 40, SE, "hardswish", 1),
    (5, 240, 40, SE, "hardswish", 1),
    (5, 120, 48, SE, "hardswish", 1),
    (5, 144, 48, SE, "hardswish", 1),
    (5, 288, 96, SE, "hardswish", 2),
    (5, 576, 96, SE, "hardswish", 1),
    (5, 576, 96, SE, "hardswish", 1),
)
EPS = 0.001


def mobilenet_v3(table: tuple[tuple[int, int, int, float, str, int], ...], hidden: int) -> Arch:
    """One of the two tables; `hidden`: features of the fully connected layer behind the pool."""
    stages, channels = [], 16
    for kernel, exp, width, se, act, stride in table:
        block = InvertedResidual(kernel, round(exp / channels, 4), se, act, se_from="hidden" if se else "input")
        stages.append(Stage(block, width, stride=stride))
        channels = width
    head = PoolHead(width=divisible(6 * channels), act="hardswish", dropout=0.2, hidden=hidden)
    return Arch(224, ConvStem(16, act="hardswish"), merged(stages), head, EPS)


def torchvision(at: Place) -> str:
    """The layer's name in torchvision's `mobilenet_v3_large` and `mobilenet_v3_small`."""
    if at.part == "stem":
        return f"features.0.{NORM[at.layer]}"
    if at.layer in ("hidden", "classifier"):
        return {"hidden": "classifier.0", "classifier": "classifier.3"}[at.layer]
    *names, kind = at.layer.split(".")
    if at.part == "head":
        return f"features.{at.flat + 1}.{NORM[kind]}"
    inner = {"reduce": "fc1", "expand": "fc2"}[kind] if names[0] == "se" else NORM[kind]
    return f"features.{at.flat + 1}.block.{at.place}.{inner}"


NETWORKS = [
    Network(
        name,
        mobilenet_v3(table, hidden),
        "Howard 2019, arXiv:1905.02244",
        Published(macs, params, top1, "torchvision IMAGENET1K_V1"),
        Judge("torchvision", name, torchvision),
    )
    for name, table, hidden, macs, params, top1 in (
        ("mobilenet_v3_large", LARGE, 1280, "0.217G", "5483032", 74.042),
        ("mobilenet_v3_small", SMALL, 1024, "0.057G", "2542856", 67.668),
    )
]
