"""Which part of which shared tensor each leaf of a block reads: one more reading of the layer expression.

Channels come in *segments*: one of every convolution, and the segments of all branches, one after another,
behind a concatenation. A narrower network takes the leading channels of each segment, not of the whole, so
that what the third layer of a dense block reads of the first stays what it was at any growth.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from search_spaces import layers as L
from search_spaces.layers import Layer, Shape

Layout = tuple[int, ...]
"""Widths of the segments of a feature map's channels, in order."""


@dataclass(frozen=True)
class Slice:
    """The part of a shared leaf that one network's leaf is.

    leaf: name of the module in its block, as `nas.build` names it. key: name of the shared leaf at its
    position. rows, columns: leading output and input channels of each segment. kernel: the central taps.
    """

    leaf: str
    key: str
    kind: type[Layer]
    rows: Layout
    columns: Layout = ()
    kernel: int = 1
    bias: bool = True


@dataclass(frozen=True)
class Reading:
    """The slices of a layer, and what leaves it."""

    slices: tuple[Slice, ...]
    shape: Shape
    layout: Layout


@lru_cache(maxsize=65_536)
def read(layer: Layer, shape: Shape, layout: Layout) -> Reading:
    """Read a layer that is given a `shape` whose channels lie in `layout`; raise `ArchError` when it does not fit."""
    walk = _Walk()
    left, laid = walk.visit(layer, shape, layout, "", "")
    return Reading(tuple(walk.slices), left, laid)


def joined(layout: Layout) -> Layout:
    """The same channels as one segment."""
    return (sum(layout),)


@lru_cache(maxsize=65_536)
def weighted(layer: Layer) -> int:
    """Number of leaves with weights."""
    if isinstance(layer, L.Combinator):
        return sum(weighted(part) for part in layer.layers)
    return int(isinstance(layer, (L.Conv, L.BatchNorm, L.Linear)))


class _Walk:
    """Collects the slices of one block."""

    def __init__(self) -> None:
        self.slices: list[Slice] = []
        self.keys: set[str] = set()

    def visit(self, layer: Layer, shape: Shape, layout: Layout, leaf: str, key: str) -> tuple[Shape, Layout]:
        if isinstance(layer, L.Chain):
            for name, part in zip(layer.names, layer.layers, strict=True):
                shape, layout = self.visit(part, shape, layout, _under(leaf, name, "."), _under(key, name, "/"))
            return shape, layout
        if isinstance(layer, L.Combinator):
            return self._branches(layer, shape, layout, leaf, key)
        self._note(layer, shape, layout, leaf, key)
        out = layer.out(shape)
        return out, _laid(layer, shape, out, layout)

    def _branches(self, layer: L.Combinator, shape: Shape, layout: Layout, leaf: str, key: str) -> tuple[Shape, Layout]:
        """Each branch; the heaviest has no name of its own in keys.

        So a block with a shortcut shares its weights with the same block without one, where the shape changes.
        """
        main = _heaviest(layer)
        outs, layouts = [], []
        for i, (name, part) in enumerate(zip(layer.names, layer.layers, strict=True)):
            inner = key if i == main else _under(key, f"+{name}", "/")
            out, laid = self.visit(part, shape, layout, _under(leaf, name, "."), inner)
            outs.append(out)
            layouts.append(laid)
        left = layer.join(shape, outs)
        if isinstance(layer, L.Concat):
            return left, tuple(width for laid in layouts for width in laid)
        return left, layouts[0] if len(set(layouts)) == 1 else (left.channels,)

    def _note(self, layer: Layer, shape: Shape, layout: Layout, leaf: str, key: str) -> None:
        if isinstance(layer, L.Conv):
            rows: Layout = layout if _depthwise(layer, shape) else (layer.channels,)
            columns = layout if layer.groups == 1 else (shape.channels // layer.groups,)
            self._add(leaf, key, L.Conv, rows, columns, layer.kernel, layer.bias)
        elif isinstance(layer, L.Linear):
            self._add(leaf, key, L.Linear, (layer.features,), layout, 1, layer.bias)
        elif isinstance(layer, L.BatchNorm):
            self._add(leaf, key, L.BatchNorm, layout, (), 1, True)

    def _add(
        self, leaf: str, key: str, kind: type[Layer], rows: Layout, columns: Layout, kernel: int, bias: bool
    ) -> None:
        key = _under(key, kind.__name__, ":")
        while key in self.keys:  # two leaves that only the heaviest branch's name told apart
            key += "'"
        self.keys.add(key)
        self.slices.append(Slice(leaf, key, kind, rows, columns, kernel, bias))


def _under(path: str, name: str, mark: str) -> str:
    return f"{path}{mark}{name}" if path else name


def _heaviest(layer: L.Combinator) -> int | None:
    """The branch with the most leaves that have weights; None when there is no single one."""
    counts = [weighted(part) for part in layer.layers]
    most = max(counts)
    return counts.index(most) if counts.count(most) == 1 else None


def _depthwise(layer: L.Conv, shape: Shape) -> bool:
    return layer.groups == shape.channels == layer.channels


def _laid(layer: Layer, shape: Shape, out: Shape, layout: Layout) -> Layout:
    """The layout behind a leaf."""
    if isinstance(layer, L.Conv):
        return layout if _depthwise(layer, shape) else (out.channels,)
    if isinstance(layer, (L.Linear, L.Shuffle)):  # a shuffle mixes the segments
        return (out.channels,)
    if isinstance(layer, L.Flatten):
        return tuple(width * shape.height * shape.width for width in layout)
    return layout
