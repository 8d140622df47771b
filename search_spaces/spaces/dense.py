"""DenseNet's blocks with layers, growth and bottleneck left open."""

from search_spaces.arch import Arch, Stage
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.dense import Dense
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.holes import OneOf
from search_spaces.space import Space


def _block(*layers: int) -> Dense:
    return Dense(layers=OneOf(*layers), growth=OneOf(8, 16, 24, 32), bottleneck=OneOf(2, 4), kernel=OneOf(3, 5))


SPACE = Space(
    "dense",
    Arch(
        resolution=OneOf(128, 160, 192, 224),
        stem=ConvStem(width=OneOf(16, 32, 64), kernel=OneOf(3, 7), pool=True),
        stages=(
            Stage(_block(2, 4, 6), width=OneOf(32, 64, 128)),
            Stage(_block(4, 8, 12), width=OneOf(64, 128, 256), stride=2),
            Stage(_block(4, 8, 16, 24), width=OneOf(128, 256, 512), stride=2),
            Stage(_block(4, 8, 16), width=OneOf(256, 512, 1024), stride=2),
        ),
        head=PoolHead(preact=True),
    ),
    about="dense blocks: layers, growth, bottleneck, kernel, transition width, resolution",
)
