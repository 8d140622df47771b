"""An architecture: resolution, stem, stages, head. Immutable, hashable; its text is its identity.

    r224 | conv_stem(width=32) | inverted_residual(expand=1) c16 | inverted_residual c24 n2 s2 | pool_head(width=1280)

A stage reads as the tables of the papers do: block, then c (channels), n (repeats, 1 when not
written) and s (stride of the first block, 1 when not written). `+ aux_head` after a stage is an auxiliary
classifier that reads it while training, as GoogLeNet has two. `r224 eps=0.001` sets every batch norm's eps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, cast

from search_spaces.errors import ArchError
from search_spaces.holes import is_open
from search_spaces.layers import EPS, Chain, Layer, Shape, with_eps
from search_spaces.part import MAX_CHANNELS, Auxiliary, Block, Head, Stem, text

MAX_DEPTH = 256
MAX_STAGES = 256
MAX_STRIDE = 8
MAX_RESOLUTION = 4096


@dataclass(frozen=True)
class Stage:
    """A block repeated `depth` times at `width` output channels, the first with the stride.

    aux: a classifier that reads the stage's output while training and is no part of the deployed network.
    """

    block: Block
    width: int
    depth: int = 1
    stride: int = 1
    aux: Auxiliary | None = None

    def __post_init__(self) -> None:
        block, aux = cast(Any, self.block), cast(Any, self.aux)  # holes, perhaps
        if not (isinstance(block, Block) or is_open(block)):
            raise ArchError(f"a stage repeats a block, but got {self.block}")
        _within("width (c)", self.width, MAX_CHANNELS)
        _within("depth (n)", self.depth, MAX_DEPTH)
        _within("stride (s)", self.stride, MAX_STRIDE)
        if aux is not None and not (isinstance(aux, Auxiliary) or is_open(aux)):
            raise ArchError(f"beside a stage there may be an auxiliary classifier, but got {self.aux}")

    @cached_property
    def _text(self) -> str:
        repeats = "" if self.depth == 1 else f" n{self.depth}"
        stride = "" if self.stride == 1 else f" s{self.stride}"
        return f"{self.block} c{self.width}{repeats}{stride}" + (f" + {self.aux}" if self.aux else "")

    def __str__(self) -> str:
        return self._text

    @property
    def label(self) -> str:
        """Name among the options of a hole over stages."""
        return self.block.label if isinstance(self.block, Block) else "stage"

    def layers(self, in_channels: int) -> tuple[Layer, ...]:
        """One layer a block, in order."""
        first = block_layer(self.block, in_channels, self.width, self.stride)
        rest = block_layer(self.block, self.width, self.width, 1) if self.depth > 1 else None
        return (first,) if rest is None else (first, *(rest,) * (self.depth - 1))


@lru_cache(maxsize=65_536)
def block_layer(block: Block, in_channels: int, out_channels: int, stride: int) -> Layer:
    """`block.layer(...)`, once: searches meet the same few thousand blocks again and again.

    Raise `ArchError` where there is none, or it ends in other channels than it was asked for.
    """
    try:
        layer = block.layer(in_channels, out_channels, stride)
        made = _channels(layer, in_channels)
        if made is not None:
            check_end(made, out_channels)
    except ArchError as error:
        raise ArchError(f"{block} c{out_channels} s{stride} on {in_channels} channels: {error}") from None
    return layer


def check_end(made: int, asked: int) -> None:
    """Raise `ArchError` unless a block's layer ends in the channels that it was asked for."""
    if made != asked:
        raise ArchError(f"a block needs a layer that ends in {asked} channels, but got one that ends in {made}")


def _channels(layer: Layer, in_channels: int) -> int | None:
    """The channels that a layer ends in, on a map with room for any window; None where it does not fit even there."""
    try:
        return layer.out(Shape(in_channels, MAX_RESOLUTION, MAX_RESOLUTION)).channels
    except ArchError:
        return None


@dataclass(frozen=True)
class Arch:
    """A network as data: `Arch.parse(str(arch)) == arch`."""

    resolution: int
    stem: Stem
    stages: tuple[Stage, ...]
    head: Head
    eps: float = EPS

    def __post_init__(self) -> None:
        if not isinstance(self.stages, (tuple, list)):
            raise ArchError(f"a network's stages are a tuple, whose items may be holes, but got {self.stages}")
        object.__setattr__(self, "stages", tuple(self.stages))
        _within("resolution (r)", self.resolution, MAX_RESOLUTION)
        if len(self.stages) > MAX_STAGES:
            raise ArchError(f"a network has at most {MAX_STAGES} stages, but got {len(self.stages)}")
        if isinstance(self.eps, bool) or not isinstance(self.eps, (int, float)) or not 0 < self.eps < 1:
            raise ArchError(f"a network's eps must be a number between 0 and 1, but got {self.eps}")
        for name, kind in (("stem", Stem), ("head", Head)):
            if not (isinstance(getattr(self, name), kind) or is_open(getattr(self, name))):
                raise ArchError(f"a network's {name} is a {kind.__name__}, but got {getattr(self, name)}")

    @staticmethod
    def parse(text: str) -> Arch:
        """Read a text form; raise `ArchError` that shows the place and what was expected there."""
        from search_spaces.parser import parse_arch

        return parse_arch(text)

    @cached_property
    def _text(self) -> str:
        first = f"r{self.resolution}" + (f" eps={text(self.eps)}" if self.eps != EPS else "")
        return " | ".join((first, str(self.stem), *map(str, self.stages), str(self.head)))

    def __str__(self) -> str:
        return self._text

    def __hash__(self) -> int:
        return hash(self._text)  # the text is the identity, and strings keep their hash

    @property
    def depth(self) -> int:
        """Number of blocks."""
        return sum(stage.depth for stage in self.stages)

    def at(self, resolution: int) -> Arch:
        """The same network read at another resolution."""
        return replace(self, resolution=resolution)

    def layer(self, in_channels: int = 3, num_classes: int = 1000) -> Chain:
        """The whole network as deployed, as one expression: stem, stage1, stage2, …, head."""
        parts: dict[str, Layer] = {"stem": self.stem.layer(in_channels)}
        shape = parts["stem"].out(Shape(in_channels, self.resolution, self.resolution))
        for i, stage in enumerate(self.stages, 1):
            blocks = stage.layers(shape.channels)
            parts[f"stage{i}"] = Chain(blocks, tuple(str(j) for j in range(len(blocks))))
            shape = Shape(stage.width, shape.height, shape.width)
        parts["head"] = self.head.layer(shape.channels, num_classes)
        whole = Chain(tuple(parts.values()), tuple(parts))
        return whole if self.eps == EPS else with_eps(whole, self.eps)

    def check(self, in_channels: int = 3, num_classes: int = 1000) -> None:
        """Raise `ArchError` unless every layer fits the shape that reaches it."""
        self.layer(in_channels, num_classes).out(Shape(in_channels, self.resolution, self.resolution))


def _within(name: str, value: int, largest: int) -> None:
    if is_open(value):
        return
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= largest:
        raise ArchError(f"{name} must be a whole number from 1 to {largest}, but got {value}")
