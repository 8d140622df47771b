"""Every family of the literature at every stage: which block belongs where?"""

from search_spaces.arch import Arch, Stage
from search_spaces.blocks.bottleneck import Bottleneck
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.dense import Dense
from search_spaces.blocks.depthwise_separable import DepthwiseSeparable
from search_spaces.blocks.fire import Fire
from search_spaces.blocks.inception import Inception
from search_spaces.blocks.inverted_residual import InvertedResidual
from search_spaces.blocks.mlpconv import Mlpconv
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.blocks.resnext import Resnext
from search_spaces.blocks.shuffle_unit import ShuffleUnit
from search_spaces.holes import IntRange, OneOf
from search_spaces.part import Block
from search_spaces.space import Space


def _any_block() -> Block:
    return OneOf(
        InvertedResidual(kernel=OneOf(3, 5, 7), expand=OneOf(3.0, 6.0), se=OneOf(0.0, 0.25)),
        DepthwiseSeparable(kernel=OneOf(3, 5), between=OneOf(True, False)),
        Resnext(cardinality=OneOf(8, 32), ratio=OneOf(0.5, 1.0)),
        Bottleneck(ratio=OneOf(0.25, 0.5)),
        ShuffleUnit(groups=OneOf(2, 4, 8), ratio=OneOf(0.25, 0.5)),
        Dense(layers=OneOf(2, 4), growth=OneOf(16, 32)),
        Inception(shares=OneOf((4, 8, 2, 2), (4, 6, 4, 2)), reduce=OneOf(0.25, 0.5)),
        Fire(squeeze=OneOf(0.125, 0.25), bypass=OneOf("none", "simple", "complex")),
        Mlpconv(),
    )


SPACE = Space(
    "mixed",
    Arch(
        resolution=OneOf(128, 160, 192, 224),
        stem=ConvStem(width=OneOf(16, 32)),
        stages=(
            Stage(_any_block(), width=OneOf(24, 32, 48), depth=IntRange(1, 3), stride=2),
            Stage(_any_block(), width=OneOf(48, 64, 96), depth=IntRange(1, 4), stride=2),
            Stage(_any_block(), width=OneOf(96, 128, 192), depth=IntRange(1, 4), stride=2),
            Stage(_any_block(), width=OneOf(192, 256, 384), depth=IntRange(1, 3), stride=2),
        ),
        head=PoolHead(width=OneOf(0, 1280)),
    ),
    about="every block family as a choice at every stage, with its own holes, depth, width and resolution",
)
