"""ShuffleNet's units: groups, bottleneck, kernel, depth and width."""

from search_spaces.arch import Arch, Stage
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.blocks.shuffle_unit import ShuffleUnit
from search_spaces.holes import IntRange, OneOf
from search_spaces.space import Space


def _block() -> ShuffleUnit:
    return ShuffleUnit(groups=OneOf(1, 2, 3, 4, 8), ratio=OneOf(0.25, 0.5), kernel=OneOf(3, 5))


SPACE = Space(
    "shuffle",
    Arch(
        resolution=OneOf(128, 160, 192, 224),
        stem=ConvStem(width=24, pool=True),
        stages=(
            Stage(_block(), width=OneOf(144, 240, 336, 480), depth=IntRange(2, 5), stride=2),
            Stage(_block(), width=OneOf(288, 480, 672, 960), depth=IntRange(2, 9), stride=2),
            Stage(_block(), width=OneOf(576, 960, 1344, 1920), depth=IntRange(2, 5), stride=2),
        ),
        head=PoolHead(),
    ),
    about="ShuffleNet units: groups, bottleneck ratio, kernel, depth, width, resolution",
)
