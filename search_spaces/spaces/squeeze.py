"""SqueezeNet's fire modules with squeeze ratio, share of 3×3 and bypass left open."""

from search_spaces.arch import Arch, Stage
from search_spaces.blocks.conv_head import ConvHead
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.fire import Fire
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.holes import IntRange, OneOf
from search_spaces.space import Space


def _block() -> Fire:
    return Fire(
        squeeze=OneOf(0.125, 0.25, 0.5),
        share3=OneOf(0.25, 0.5, 0.75),
        bypass=OneOf("none", "simple", "complex"),
    )


SPACE = Space(
    "squeeze",
    Arch(
        resolution=OneOf(128, 160, 192, 224),
        stem=ConvStem(width=OneOf(32, 64, 96), kernel=OneOf(3, 7), pool=True),
        stages=(
            Stage(_block(), width=OneOf(64, 96, 128), depth=IntRange(1, 3)),
            Stage(_block(), width=OneOf(128, 192, 256), depth=IntRange(1, 4), stride=2),
            Stage(_block(), width=OneOf(256, 384, 512), depth=IntRange(1, 4), stride=2),
        ),
        head=OneOf(PoolHead(), ConvHead(dropout=0.0)),
    ),
    about="fire modules: squeeze ratio, share of 3×3, bypass, depth, width, resolution, kind of head",
)
