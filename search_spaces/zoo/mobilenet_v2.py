"""MobileNetV2 (Sandler 2018, arXiv:1801.04381), table 2, at the widths that were published."""

from search_spaces.arch import Arch, Stage
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.inverted_residual import InvertedResidual
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.layers import divisible
from search_spaces.zoo.network import Judge, Network, Place, Published
from search_spaces.zoo.tables import NORM

TABLE = (  # t, c, n, s
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
SLIM = "tensorflow/models, slim/nets/mobilenet"
PUBLISHED = {  # (width, resolution): multiply-adds, parameters, ImageNet top-1
    (1.4, 224): ("582M", "6.06M", 75.0),
    (1.3, 224): ("509M", "5.34M", 74.4),
    (1.0, 224): ("300M", "3.47M", 71.8),
    (1.0, 192): ("221M", "3.47M", 70.7),
    (1.0, 160): ("154M", "3.47M", 68.8),
    (1.0, 128): ("99M", "3.47M", 65.3),
    (1.0, 96): ("56M", "3.47M", 60.3),
    (0.75, 224): ("209M", "2.61M", 69.8),
    (0.75, 192): ("153M", "2.61M", 68.7),
    (0.75, 160): ("107M", "2.61M", 66.4),
    (0.75, 128): ("69M", "2.61M", 63.2),
    (0.75, 96): ("39M", "2.61M", 58.8),
    (0.5, 224): ("97M", "1.95M", 65.4),
    (0.5, 192): ("71M", "1.95M", 63.9),
    (0.5, 160): ("50M", "1.95M", 61.0),
    (0.5, 128): ("32M", "1.95M", 57.7),
    (0.5, 96): ("18M", "1.95M", 51.2),
    (0.35, 224): ("59M", "1.66M", 60.3),
    (0.35, 192): ("43M", "1.66M", 58.2),
    (0.35, 160): ("30M", "1.66M", 55.7),
    (0.35, 128): ("20M", "1.66M", 50.8),
    (0.35, 96): ("11M", "1.66M", 45.5),
}


def mobilenet_v2(width: float = 1.0, resolution: int = 224) -> Arch:
    """Widths scale all channels, rounded to multiples of 8; the last convolution never has fewer than 1280."""
    stages = (Stage(InvertedResidual(expand=t), divisible(c * width), n, s) for t, c, n, s in TABLE)
    head = PoolHead(width=divisible(1280 * max(1.0, width)), act="relu6", dropout=0.2)
    return Arch(resolution, ConvStem(divisible(32 * width), act="relu6"), tuple(stages), head)


def torchvision(at: Place) -> str:
    """The layer's name in torchvision's `mobilenet_v2`."""
    if at.part == "stem":
        return f"features.0.{NORM[at.layer]}"
    if at.part == "head":
        return "classifier.1" if at.layer == "classifier" else f"features.18.{NORM[at.layer.split('.')[1]]}"
    name, kind = at.layer.split(".")
    if name == "project":  # its convolution and batch norm are not grouped
        return f"features.{at.flat + 1}.conv.{at.place + int(NORM[kind])}"
    return f"features.{at.flat + 1}.conv.{at.place}.{NORM[kind]}"


def _network(width: float, resolution: int) -> Network:
    macs, params, top1 = PUBLISHED[width, resolution]
    plain = (width, resolution) == (1.0, 224)
    return Network(
        "mobilenet_v2" if plain else f"mobilenet_v2_{width}_{resolution}",
        mobilenet_v2(width, resolution),
        "Sandler 2018, arXiv:1801.04381",
        Published(macs, params, top1, SLIM, ("norms",)),
        Judge("torchvision", "mobilenet_v2", torchvision, (("width_mult", width),)),
    )


NETWORKS = [_network(*point) for point in sorted(PUBLISHED, key=lambda p: (p != (1.0, 224), -p[0], -p[1]))]
