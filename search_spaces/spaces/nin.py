"""Network in Network: mlpconv blocks and no fully connected layer."""

from search_spaces.arch import Arch, Stage
from search_spaces.blocks.conv_head import ConvHead
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.mlpconv import Mlpconv
from search_spaces.holes import IntRange, OneOf
from search_spaces.space import Space


def _block() -> Mlpconv:
    return Mlpconv(kernel=OneOf(3, 5))


SPACE = Space(
    "nin",
    Arch(
        resolution=OneOf(128, 160, 192, 224),
        stem=ConvStem(width=OneOf(32, 64, 96), kernel=OneOf(5, 7, 11), stride=OneOf(2, 4)),
        stages=(
            Stage(_block(), width=OneOf(48, 96, 144), depth=IntRange(1, 2), stride=2),
            Stage(_block(), width=OneOf(96, 192, 256), depth=IntRange(1, 2), stride=2),
            Stage(_block(), width=OneOf(128, 256, 384), depth=IntRange(1, 2), stride=2),
        ),
        head=ConvHead(kernel=OneOf(1, 3), hidden=OneOf(False, True)),
    ),
    about="mlpconv blocks: kernels, stem stride, depth, width, resolution, kind of convolutional head",
)
