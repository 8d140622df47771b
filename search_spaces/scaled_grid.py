"""FLOPs of a network over a grid of depths and widths: every one counted whole, in the time of a few.

Neighbours on the grid share most of their stages, so each block is read once for each shape that it meets; blocks
that deepen by themselves (dense blocks) go on from the layers that they share with the one before.
"""

from __future__ import annotations

from collections.abc import Sequence

from search_spaces.arch import Arch, Stage, check_end
from search_spaces.cost import ChainReader, head_cost, stem_cost
from search_spaces.errors import ArchError
from search_spaces.layers import Shape
from search_spaces.part import MAX_CHANNELS, Block
from search_spaces.scaling import reaching, repeats, scaled_resolution

Read = tuple[Shape, int]
"""An output shape, and the FLOPs on the way to it."""


def flops(
    arch: Arch,
    depths: Sequence[float],
    widths: Sequence[float],
    resolution: float = 1.0,
    in_channels: int = 3,
    num_classes: int = 1000,
) -> list[list[int | None]]:
    """`cost(scale(arch, d, w, resolution)).flops` as [width][depth]; None where no network comes out."""
    side = scaled_resolution(arch, resolution)
    ways = [_way(arch, depth) for depth in depths]
    return [_column(arch, ways, width, Shape(in_channels, side, side), num_classes) for width in widths]


Way = list[tuple[Block, int]]
"""Each stage's block and repeats at one depth, before they are widened."""


def _way(arch: Arch, depth: float) -> Way | None:
    try:
        return [(s.block.deepened(depth), n) for s, n in zip(arch.stages, repeats(arch.stages, depth), strict=True)]
    except ArchError:
        return None


def _column(arch: Arch, ways: list[Way | None], width: float, image: Shape, num_classes: int) -> list[int | None]:
    """One width at every depth."""
    try:
        shape, stem = stem_cost(arch.stem.widened(width), image)
        head = arch.head.widened(width)
    except ArchError:
        return [None] * len(ways)
    reach = reaching(arch, image.channels)
    readers = [_Stage(stage, width, before) for stage, before in zip(arch.stages, reach, strict=True)]

    def counted(way: Way) -> int | None:
        reached, total = shape, stem.flops
        try:
            for reader, (block, times) in zip(readers, way, strict=True):
                reached, more = reader.read(block, times, reached)
                total += more
            return total + head_cost(head, reached, num_classes)[1].flops
        except ArchError:
            return None

    return [None if way is None else counted(way) for way in ways]


class _Stage:
    """A stage at one width and any depth, and what was read of it; `before`: channels that reached it unscaled."""

    def __init__(self, stage: Stage, width: float, before: int) -> None:
        self.stage, self.width, self.before = stage, width, before
        self._widened: dict[tuple[Block, int], tuple[Block, int]] = {}
        self._read: dict[tuple[Block, int, Shape], Read] = {}
        self._chains = ChainReader()

    def read(self, block: Block, times: int, shape: Shape) -> Read:
        """The stage with `times` blocks; raise `ArchError` where it cannot be."""
        key = block, shape.channels
        if key not in self._widened:
            self._widened[key] = block.widened_to(self.stage.width, self.width, shape.channels, self.before)
        own, channels = self._widened[key]
        reached, total = self._block(own, channels, self.stage.stride, shape)
        for left in range(times - 1, 0, -1):
            after, more = self._block(own, channels, 1, reached)
            if after == reached:  # and so will all that follow
                return reached, total + left * more
            reached, total = after, total + more
        return reached, total

    def _block(self, block: Block, channels: int, stride: int, shape: Shape) -> Read:
        key = block, stride, shape
        if key not in self._read:
            if channels > MAX_CHANNELS:
                raise ArchError(f"a stage has at most {MAX_CHANNELS} channels, but got {channels}")
            layer = block.layer(shape.channels, channels, stride)  # `block_layer` would read it once more
            reached, counted = self._chains.read(layer, shape)
            check_end(reached.channels, channels)
            self._read[key] = reached, counted.flops
        return self._read[key]
