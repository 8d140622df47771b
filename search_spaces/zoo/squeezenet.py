"""SqueezeNet (Iandola 2016, arXiv:1602.07360): 1.0 of table 1, with its two bypasses, and the authors' 1.1.

No batch norm; max pools round up, as Caffe's did; the squeeze ratio is 1/8 throughout.
"""

from search_spaces.arch import Arch, Stage
from search_spaces.blocks.conv_head import ConvHead
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.fire import Fire
from search_spaces.blocks.max_pool import MaxPool
from search_spaces.zoo.network import Judge, Network, Place, Published
from search_spaces.zoo.tables import merged

V1_0 = ConvStem(96, kernel=7, norm=False, valid=True), ("pool", 128, 128, 256, "pool", 256, 384, 384, 512, "pool", 512)
V1_1 = ConvStem(64, kernel=3, norm=False, valid=True), ("pool", 128, 128, "pool", 256, 256, "pool", 384, 384, 512, 512)


def squeezenet(version: tuple[ConvStem, tuple[int | str, ...]], bypass: str = "none") -> Arch:
    """Fire modules of the given widths, and 3×3 max pools of stride 2 where the table has them."""
    stem, rows = version
    stages, width = [], stem.width
    for row in rows:
        if isinstance(row, int):
            width = row
            stages.append(Stage(Fire(bypass=bypass, norm=False), width))
        else:
            stages.append(Stage(MaxPool(valid=True, ceil=True), width, stride=2))
    return Arch(224, stem, merged(stages), ConvHead())


def torchvision(at: Place) -> str:
    """The layer's name in torchvision's `squeezenet1_0` and `squeezenet1_1`."""
    if at.part == "stem":
        return "features.0"
    if at.part == "head":
        return "classifier.1"
    names = {"squeeze.conv": "squeeze", "expand.one.conv": "expand1x1", "expand.three.conv": "expand3x3"}
    return f"features.{at.flat + 2}.{names[at.layer]}"


def _network(name: str, arch: Arch, published: Published, judged: bool = False) -> Network:
    judge = Judge("torchvision", name, torchvision) if judged else None
    return Network(name, arch, "Iandola 2016, arXiv:1602.07360", published, judge)


TORCHVISION, PAPER = "torchvision IMAGENET1K_V1", "the paper's table 3"
NETWORKS = [
    _network("squeezenet1_0", squeezenet(V1_0), Published("0.819G", "1248424", 58.092, TORCHVISION), judged=True),
    _network("squeezenet1_1", squeezenet(V1_1), Published("0.349G", "1235496", 58.178, TORCHVISION), judged=True),
    _network("squeezenet1_0_simple", squeezenet(V1_0, "simple"), Published("", "", 60.4, PAPER)),
    _network("squeezenet1_0_complex", squeezenet(V1_0, "complex"), Published("", "", 58.8, PAPER)),
]
