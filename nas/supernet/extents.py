"""How large each shared tensor must be: the maxima over every network of a space, without building one.

What a block's tensors measure depends on the block, its width and the channels that reach it; depth only says
how often it stands. The lattice knows every such combination, so thousands of blocks are read where the space
has 10¹⁵ networks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count, zip_longest
from typing import Any, NamedTuple

from nas.supernet.reading import Layout, Reading, Slice, joined, read
from search_spaces.arch import Stage, block_layer
from search_spaces.errors import ArchError
from search_spaces.holes import Hole, Label, match
from search_spaces.lattice import Edge
from search_spaces.layers import Layer, Shape
from search_spaces.part import Block, Head, Stem
from search_spaces.space import Space

Slot = dict[Shape, list[Edge]]


@dataclass(frozen=True)
class Run:
    """A block of a stage as it stands in some networks; `kinds` are the alternatives taken to get there."""

    kinds: str
    block: Block
    channels: int
    width: int
    stride: int

    def layer(self) -> Layer:
        return block_layer(self.block, self.channels, self.width, self.stride)

    def repeated(self) -> Run:
        """The block that follows it in its stage."""
        return replace(self, channels=self.width, stride=1)


class Found(NamedTuple):
    """A block at a position, the channels it reads, and the layouts in which they may come."""

    place: str
    channels: int
    layer: Layer
    layouts: set[Layout]


@dataclass
class Extents:
    """Of a space: the largest slice of each shared leaf, by position and key; and where segments are given up.

    joined: positions whose inputs come in different numbers of segments, and are read as one segment.
    """

    leaves: dict[str, Slice] = field(default_factory=dict)
    joined: set[str] = field(default_factory=set)

    def add(self, position: str, reading: Reading) -> None:
        """Make room for one block at a position."""
        for cut in reading.slices:
            key = f"{position}/{cut.key}"
            self.leaves[key] = _larger(self.leaves[key], cut) if key in self.leaves else cut

    def arriving(self, position: str, layout: Layout) -> Layout:
        """A layout as the block at that position reads it."""
        return joined(layout) if position in self.joined else layout


def survey(space: Space, in_channels: int, num_classes: int, pixels: int) -> Extents:
    """The extents of a space's networks at images of at most `pixels` px; those too small for them are left out."""
    return _Survey(space, pixels).go(in_channels, num_classes)


def position(slot: str, kinds: str, repeat: int | None = None) -> str:
    """Where a shared leaf stands: `stem`, `stage2/0`, with the alternatives taken `stage2/0/fire`."""
    return "/".join(part for part in (slot, "" if repeat is None else str(repeat), kinds) if part)


def kinds_of(labels: dict[str, Label], holes: dict[str, Hole]) -> str:
    """The alternatives among a slot's choices: those of parts and stages, which share no weights."""
    taken = (label for path, label in labels.items() if offers_alternatives(holes[path]))
    return "/".join(str(label) for label in taken)


def offers_alternatives(hole: Hole) -> bool:
    """Whether a hole is over whole blocks, stems, heads or stages."""
    return any(isinstance(option, (Block, Stem, Head, Stage)) for option in hole.options)


class _Survey:
    """Walks the lattice from the image to the head, with every layout that can reach each slot."""

    def __init__(self, space: Space, pixels: int) -> None:
        self.space, self.extents = space, Extents()
        self.side = pixels  # of the largest map that reaches the slot: heads that flatten it need to know

    def go(self, in_channels: int, num_classes: int) -> Extents:
        _, stems, *stages, heads = self.space.lattice(in_channels, num_classes).slots
        template = self.space.template
        layouts = self._end("stem", template.stem, stems, {(in_channels,)}, lambda stem, channels: stem.layer(channels))
        for i, (node, edges) in enumerate(zip(template.stages, stages, strict=True), 1):
            layouts = self._stage(f"stage{i}", node, edges, layouts)
        self._end("head", template.head, heads, layouts, lambda head, channels: head.layer(channels, num_classes))
        return self.extents

    def _end(
        self, slot: str, node: Any, edges: Slot, layouts: set[Layout], expand: Callable[[Any, int], Layer]
    ) -> set[Layout]:
        """The stem or the head: every filling on every number of channels that it may read."""
        pairs = dict.fromkeys((shape.channels, edge.filling) for shape, some in edges.items() for edge in some)
        found = [
            Found(position(slot, self._kinds(slot, node, part)), channels, expand(part, channels), layouts)
            for channels, part in pairs
        ]
        return {layout for left in self._read(found) for layout in left}

    def _stage(self, slot: str, node: Any, edges: Slot, layouts: set[Layout]) -> set[Layout]:
        """A stage: each distinct block as first, second, … repeat, as far as some network has it."""
        runs = {run: (depths, layouts) for run, depths in self._runs(slot, node, edges).items()}
        leaving: set[Layout] = set()
        for repeat in count():
            if not runs:
                return leaving
            found = [
                Found(position(slot, run.kinds, repeat), run.channels, run.layer(), arriving)
                for run, (_, arriving) in runs.items()
            ]
            lefts = self._read(found)
            following: dict[Run, tuple[set[int], set[Layout]]] = {}
            for (run, (depths, _)), left in zip(runs.items(), lefts, strict=True):
                if repeat + 1 in depths:
                    leaving |= left
                if left and max(depths) > repeat + 1:
                    its_depths, its_layouts = following.setdefault(run.repeated(), (set(), set()))
                    its_depths |= depths
                    its_layouts |= left
            runs = following
        raise AssertionError("a stage has an end")

    def _runs(self, slot: str, node: Any, edges: Slot) -> dict[Run, set[int]]:
        """The distinct first blocks of a stage, with the depths that a stage of them may have."""
        runs: dict[Run, set[int]] = defaultdict(set)
        for shape, some in edges.items():
            for edge in some:
                stage: Stage = edge.filling
                kinds = self._kinds(slot, node, stage)
                runs[Run(kinds, stage.block, shape.channels, stage.width, stage.stride)].add(stage.depth)
        return runs

    def _kinds(self, slot: str, node: Any, filling: Any) -> str:
        return kinds_of(match(node, filling, slot) or {}, self.space.holes)

    def _read(self, found: list[Found]) -> list[set[Layout]]:
        """Read blocks that stand at one depth of the network; return the layouts that leave each."""
        self._join(found)
        sides = []
        lefts: list[set[Layout]] = []
        for place, channels, layer, layouts in found:
            left = set()
            for layout in {self.extents.arriving(place, layout) for layout in layouts if sum(layout) == channels}:
                try:
                    reading = read(layer, Shape(channels, self.side, self.side), layout)
                except ArchError:  # a map too small for it at the training resolution, as its training will say
                    continue
                self.extents.add(place, reading)
                left.add(reading.layout)
                sides.append(max(reading.shape.height, reading.shape.width))
            lefts.append(left)
        self.side = max(sides, default=1)
        return lefts

    def _join(self, found: list[Found]) -> None:
        """Give up segments at the places that some networks reach with more of them than others."""
        numbers: dict[str, set[int]] = defaultdict(set)
        for place, channels, _, layouts in found:
            numbers[place] |= {len(layout) for layout in layouts if sum(layout) == channels}
        self.extents.joined |= {place for place, lengths in numbers.items() if len(lengths) > 1}


def _larger(one: Slice, other: Slice) -> Slice:
    return replace(
        one,
        rows=_widest(one.rows, other.rows),
        columns=_widest(one.columns, other.columns),
        kernel=max(one.kernel, other.kernel),
        bias=one.bias or other.bias,
    )


def _widest(one: Layout, other: Layout) -> Layout:
    return tuple(max(pair) for pair in zip_longest(one, other, fillvalue=0))
