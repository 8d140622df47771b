"""ResNet (He 2015, arXiv:1512.03385), its wide form (Zagoruyko 2016) and ResNeXt (Xie 2017, arXiv:1611.05431)."""

from search_spaces.arch import Arch, Stage
from search_spaces.blocks.bottleneck import Bottleneck
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.blocks.resnext import Resnext
from search_spaces.part import Block
from search_spaces.zoo.network import Judge, Network, Place, Published

RESNET, WIDE, RESNEXT = "He 2015, arXiv:1512.03385", "Zagoruyko 2016, arXiv:1605.07146", "Xie 2017, arXiv:1611.05431"
TABLE = (  # name, block, blocks of conv2_x to conv5_x; torchvision's multiply-adds, parameters and top-1
    ("resnet50", Bottleneck(), (3, 4, 6, 3), RESNET, "4.089G", "25557032", 76.13),
    ("resnet101", Bottleneck(), (3, 4, 23, 3), RESNET, "7.801G", "44549160", 77.374),
    ("resnet152", Bottleneck(), (3, 8, 36, 3), RESNET, "11.514G", "60192808", 78.312),
    ("wide_resnet50_2", Bottleneck(ratio=0.5), (3, 4, 6, 3), WIDE, "11.398G", "68883240", 78.468),
    ("resnext50_32x4d", Resnext(32, ratio=0.5), (3, 4, 6, 3), RESNEXT, "4.23G", "25028904", 77.618),
    ("resnext101_32x8d", Resnext(32, ratio=1), (3, 4, 23, 3), RESNEXT, "16.414G", "88791336", 79.312),
    ("resnext101_64x4d", Resnext(64, ratio=1), (3, 4, 23, 3), RESNEXT, "15.46G", "83455272", 83.246),
)


def residual(block: Block, depths: tuple[int, ...]) -> Arch:
    """Four stages of 256 to 2048 channels after a 7×7 convolution and a 3×3 max pool."""
    stages = (Stage(block, 256 * 2**i, n, 1 if i == 0 else 2) for i, n in enumerate(depths))
    return Arch(224, ConvStem(64, kernel=7, pool=True), tuple(stages), PoolHead())


def torchvision(at: Place) -> str:
    """The layer's name in torchvision's `resnet50`."""
    if at.part == "stem":
        return {"conv": "conv1", "norm": "bn1"}[at.layer]
    if at.part == "head":
        return "fc"
    name, kind = at.layer.split(".")
    if name == "shortcut":
        return f"layer{at.stage}.{at.block}.downsample.{0 if kind == 'conv' else 1}"
    number = {"reduce": 1, "conv": 2, "grouped": 2, "expand": 3}[name]
    return f"layer{at.stage}.{at.block}.{'conv' if kind == 'conv' else 'bn'}{number}"


NETWORKS = [
    Network(
        name,
        residual(block, depths),
        paper,
        Published(macs, params, top1, "torchvision IMAGENET1K_V1"),
        Judge("torchvision", name, torchvision),
    )
    for name, block, depths, paper, macs, params, top1 in TABLE
]
