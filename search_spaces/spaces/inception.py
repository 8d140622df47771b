"""GoogLeNet's modules with their branch shares, bottlenecks and large kernel left open."""

from search_spaces.arch import Arch, Stage
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.inception import Inception
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.holes import IntRange, OneOf
from search_spaces.space import Space


def _block() -> Inception:
    return Inception(
        shares=OneOf((4, 8, 2, 2), (6, 6, 2, 2), (4, 6, 4, 2), (2, 8, 4, 2)),
        reduce=OneOf(0.25, 0.5, 0.75),
        kernel=OneOf(3, 5),
    )


SPACE = Space(
    "inception",
    Arch(
        resolution=OneOf(128, 160, 192, 224),
        stem=ConvStem(width=OneOf(32, 48, 64), kernel=7, pool=True),
        stages=(
            Stage(_block(), width=OneOf(64, 128, 192), depth=IntRange(1, 2)),
            Stage(_block(), width=OneOf(128, 192, 256, 320), depth=IntRange(1, 3), stride=2),
            Stage(_block(), width=OneOf(256, 384, 512), depth=IntRange(1, 5), stride=2),
            Stage(_block(), width=OneOf(512, 768, 1024), depth=IntRange(1, 2), stride=2),
        ),
        head=PoolHead(dropout=0.2),
    ),
    about="inception modules: branch shares, bottleneck reduction, large kernel, depth, width, resolution",
)
