"""Small spaces, images and a training that the tests of the supernet share."""

from __future__ import annotations

from pathlib import Path

import torch

from nas.batches import Images
from nas.data.images import ImageData, Split
from nas.recipe import Recipe
from nas.supernet.network import Supernet
from nas.supernet.sampling import Sampling
from nas.supernet.training import Length, Training
from search_spaces import Arch, OneOf, Stage
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.inverted_residual import InvertedResidual
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.blocks.skip import Skip
from search_spaces.budget import Budget
from search_spaces.feasible import Feasible
from search_spaces.space import Space
from tests.nas.searching import SPACE as TOY

MACRO_WIDTHS = (64, 64, 128, 128, 128, 256, 256, 256)
MACRO = Space(
    "macro",
    Arch(
        resolution=32,
        stem=ConvStem(width=32, stride=1, act="relu6"),
        stages=tuple(
            Stage(
                OneOf(Skip(), InvertedResidual(expand=3), InvertedResidual(kernel=5, expand=6)),
                width=width,
                stride=2 if i in (0, 2, 5) else 1,
            )
            for i, width in enumerate(MACRO_WIDTHS)
        ),
        head=PoolHead(width=1280, act="relu6"),
    ),
    about="NAS-Bench-Macro's (Su 2021), as a user would write it",
)


def toy_images(pixels: int = 16, count: int = 60) -> Images:
    """Two classes that brightness tells apart."""
    generator = torch.Generator().manual_seed(1)

    def split(n: int) -> Split:
        labels = torch.arange(n) % 2
        noise = torch.randint(0, 60, (n, 3, pixels, pixels), generator=generator)
        return Split((noise + 120 * labels.view(n, 1, 1, 1)).to(torch.uint8), labels)

    return Images(
        ImageData("toy", ("dark", "bright"), split(count), split(40), split(20), "none"), 3, torch.device("cpu")
    )


RECIPE = Recipe(resolution=16, reference=32, steps=8, batch_size=16, recalibration=32, precision="fp32", lr=0.05)


def toy(strategy: str = "uniform", budget: str = "1.2MFLOPs") -> Sampling:
    return Sampling(Feasible(TOY, Budget.parse(budget), 3, 10), strategy)


def training(path: Path, steps: int, strategy: str = "uniform", recipe: Recipe = RECIPE) -> Training:
    torch.manual_seed(3)
    return Training(Supernet(TOY, 3, 2, 16), toy_images(), recipe, toy(strategy), Length(steps=steps), path)
