"""DenseNet-BC (Huang 2017, arXiv:1608.06993), table 1: growth 32, every transition halves the channels."""

from search_spaces.arch import Arch, Stage
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.dense import Dense
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.zoo.network import Judge, Network, Place, Published

GROWTH = 32
TABLE = (  # name, layers of the four dense blocks; torchvision's multiply-adds, parameters and top-1
    ("densenet121", (6, 12, 24, 16), "2.834G", "7978856", 74.434),
    ("densenet169", (6, 12, 32, 32), "3.36G", "14149480", 75.6),
    ("densenet201", (6, 12, 48, 32), "4.291G", "20013928", 76.896),
)


def densenet(layers: tuple[int, ...]) -> Arch:
    """The last dense block has no transition; the head has its batch norm and ReLU."""
    stages, width = [], 2 * GROWTH
    for i, n in enumerate(layers):
        last = i + 1 == len(layers)
        width = (width + n * GROWTH) // (1 if last else 2)
        stages.append(Stage(Dense(n, GROWTH, transition=not last, ceil=False), width, stride=1 if i == 0 else 2))
    return Arch(224, ConvStem(2 * GROWTH, kernel=7, pool=True), tuple(stages), PoolHead(preact=True))


def torchvision(at: Place) -> str:
    """The layer's name in torchvision's `densenet121`."""
    if at.part == "stem":
        return f"features.{at.layer}0"
    if at.part == "head":
        return {"norm": "features.norm5", "classifier": "classifier"}[at.layer]
    name, *_, kind = at.layer.split(".")
    if name == "transition":
        return f"features.transition{at.stage}.{kind}"
    return f"features.denseblock{at.stage}.denselayer{name.removeprefix('layer')}.{'conv2' if kind == 'conv' else kind}"


NETWORKS = [
    Network(
        name,
        densenet(layers),
        "Huang 2017, arXiv:1608.06993",
        Published(macs, params, top1, "torchvision IMAGENET1K_V1"),
        Judge("torchvision", name, torchvision),
    )
    for name, layers, macs, params, top1 in TABLE
]
