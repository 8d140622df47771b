"""Spaces small enough to write out whole, and the slow, plain ways to read them."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from search_spaces.arch import Arch, Stage
from search_spaces.blocks.conv_head import ConvHead
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.dense import Dense
from search_spaces.blocks.fire import Fire
from search_spaces.blocks.inception import Inception
from search_spaces.blocks.inverted_residual import InvertedResidual
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.blocks.skip import Skip
from search_spaces.cost import Cost, cost
from search_spaces.errors import ArchError
from search_spaces.holes import Hole, IntRange, Label, OneOf, fill
from search_spaces.layers import Shape
from search_spaces.space import Space

FLAT = Space(
    "flat",
    Arch(
        resolution=OneOf(16, 24, 32),
        stem=ConvStem(OneOf(8, 16)),
        stages=(
            Stage(
                InvertedResidual(kernel=OneOf(3, 5), expand=OneOf(2.0, 3.0, 4.0)),
                width=OneOf(8, 16, 24),
                depth=IntRange(1, 2),
                stride=2,
            ),
            Stage(Fire(), width=OneOf(16, 32)),
        ),
        head=PoolHead(),
    ),
    about="every hole is always open",
)


def widens(stage: Stage, shape: Shape) -> bool:
    return stage.width >= shape.channels


NESTED = Space(
    "nested",
    Arch(
        resolution=OneOf(8, 16),
        stem=OneOf(ConvStem(8), ConvStem(OneOf(8, 16), kernel=5)),
        stages=(
            OneOf(
                Stage(
                    OneOf(
                        Fire(squeeze=OneOf(0.125, 0.5)),
                        # without its transition, at a width that only some stems lead to
                        Dense(layers=OneOf(1, 2), growth=8, transition=OneOf(True, False)),
                    ),
                    width=OneOf(16, 24),
                ),
                Stage(Skip(), width=OneOf(8, 16), stride=OneOf(1, 2)),
            ),
            Stage(InvertedResidual(expand=IntRange(1, 3)), width=OneOf(8, 16, 32), depth=IntRange(1, 2)),
        ),
        head=OneOf(PoolHead(OneOf(0, 16)), ConvHead()),
    ),
    rules=(widens,),
    about="holes in holes, fillings that do not fit, a rule",
)

TWINS = Space(
    "twins",
    Arch(
        resolution=8,
        stem=ConvStem(8),
        stages=(
            Stage(OneOf(Fire(), Fire(bypass=OneOf("none", "simple"))), width=OneOf(8, 16)),
            Stage(Inception(widths=(OneOf(2, 4), 4, 4, 4, 4, OneOf(4, 6)), reduce=1), width=OneOf(16, 14)),
        ),
        head=PoolHead(),
    ),
    about="two ways to write one network, holes in a tuple, widths that do not add up",
)

SMALL = {space.name: space for space in (FLAT, NESTED, TWINS)}
CLASSES = 10


def every_filling(template: Any) -> Iterator[tuple[Any, dict[str, Label]]]:
    """Every filling with its choices, by answering `fill` in every possible way, like an odometer."""
    digits: list[int] = []
    while True:
        filled, said, asked = filled_by(template, digits)
        yield filled, said
        digits += [0] * (len(asked) - len(digits))
        while digits and digits[-1] + 1 == asked[len(digits) - 1]:
            digits.pop()
        if not digits:
            return
        digits[-1] += 1


def filled_by(template: Any, digits: list[int]) -> tuple[Any, dict[str, Label], list[int]]:
    """One filling: the n-th question answered by the n-th digit, or 0. Also: answers, and options of each question."""
    asked: list[int] = []
    said: dict[str, Label] = {}

    def choose(path: str, hole: Hole) -> Label:
        digit = digits[len(asked)] if len(asked) < len(digits) else 0
        asked.append(len(hole.labels))
        assert path not in said
        said[path] = hole.labels[digit]
        return hole.labels[digit]

    return fill(template, choose), said, asked


def is_valid(space: Space, arch: Arch) -> bool:
    """By the definition: every layer fits, every rule holds."""
    try:
        arch.check(3, CLASSES)
    except ArchError:
        return False
    shape = arch.stem.layer(3).out(Shape(3, arch.resolution, arch.resolution))
    for stage in arch.stages:
        if not all(rule(stage, shape) for rule in space.rules):
            return False
        for layer in stage.layers(shape.channels):
            shape = layer.out(shape)
    return True


@lru_cache(maxsize=8)
def written_out(name: str) -> dict[Arch, Cost]:
    """Every valid network of a small space, with its cost at 10 classes."""
    space = SMALL[name]
    distinct = dict.fromkeys(arch for arch, _ in every_filling(space.template))
    return {arch: cost(arch, 3, CLASSES) for arch in distinct if is_valid(space, arch)}


def hamming(one: Arch, other: Arch) -> int:
    """Choices in which two networks of the flat space differ, read off their fields."""

    def read(arch: Arch) -> list[object]:
        fields: list[object] = [arch.resolution, arch.stem]
        for stage in arch.stages:
            fields += [*vars(stage.block).items(), stage.width, stage.depth]
        return fields

    return sum(a != b for a, b in zip(read(one), read(other), strict=True))
