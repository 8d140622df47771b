"""Inverted residuals as MobileNetV2, MnasNet and EfficientNet arrange them; 300 MFLOPs lie in its lower half."""

from search_spaces.arch import Arch, Stage
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.inverted_residual import InvertedResidual
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.holes import IntRange, OneOf
from search_spaces.space import Space


def _block() -> InvertedResidual:
    return InvertedResidual(kernel=OneOf(3, 5, 7), expand=OneOf(3.0, 4.0, 6.0), se=OneOf(0.0, 0.25))


SPACE = Space(
    "mobile",
    Arch(
        resolution=OneOf(128, 160, 192, 224),
        stem=ConvStem(width=OneOf(16, 24, 32), act="relu6"),
        stages=(
            Stage(InvertedResidual(kernel=OneOf(3, 5), expand=1), width=OneOf(16, 24)),
            Stage(_block(), width=OneOf(24, 32), depth=IntRange(1, 4), stride=2),
            Stage(_block(), width=OneOf(32, 40, 48), depth=IntRange(1, 4), stride=2),
            Stage(_block(), width=OneOf(64, 80, 96), depth=IntRange(1, 4), stride=2),
            Stage(_block(), width=OneOf(96, 112, 128), depth=IntRange(1, 4)),
            Stage(_block(), width=OneOf(160, 192, 224), depth=IntRange(1, 4), stride=2),
            Stage(_block(), width=OneOf(320, 384)),
        ),
        head=PoolHead(width=OneOf(960, 1280), act="relu6"),
    ),
    about="inverted residuals: kernels 3 to 7, expansions 3 to 6, squeeze-excitation, depth, width, resolution",
)
