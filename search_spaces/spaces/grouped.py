"""ResNet's and ResNeXt's bottlenecks: how many paths, how wide, how deep."""

from search_spaces.arch import Arch, Stage
from search_spaces.blocks.bottleneck import Bottleneck
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.blocks.resnext import Resnext
from search_spaces.holes import IntRange, OneOf
from search_spaces.part import Block
from search_spaces.space import Space


def _block() -> Block:
    return OneOf(
        Resnext(cardinality=OneOf(4, 8, 16, 32), ratio=OneOf(0.25, 0.5, 1.0)),
        Bottleneck(ratio=OneOf(0.125, 0.25, 0.5)),
    )


SPACE = Space(
    "grouped",
    Arch(
        resolution=OneOf(128, 160, 192, 224),
        stem=ConvStem(width=OneOf(16, 32, 64), kernel=OneOf(3, 7), pool=True),
        stages=(
            Stage(_block(), width=OneOf(64, 128, 256), depth=IntRange(1, 3)),
            Stage(_block(), width=OneOf(128, 256, 512), depth=IntRange(1, 4), stride=2),
            Stage(_block(), width=OneOf(256, 512, 1024), depth=IntRange(1, 6), stride=2),
            Stage(_block(), width=OneOf(512, 1024, 2048), depth=IntRange(1, 3), stride=2),
        ),
        head=PoolHead(),
    ),
    about="residual bottlenecks, plain or grouped: cardinality, inner width, depth, width, resolution",
)
