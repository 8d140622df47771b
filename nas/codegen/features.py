"""Where a network's feature maps lie: one at each reduction, by timm's convention."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from nas.in_place import writes_input
from search_spaces import layers as L
from search_spaces.layers import Layer, Shape


@dataclass(frozen=True)
class Step:
    """A part of the network's body that ends in a map: a stage, the stem, or a layer of a stem that strides twice."""

    module: str
    """`stage3`, `stem`, or `stem.pool`."""
    num_chs: int
    reduction: int
    writes: bool
    """Whether it may change its input in place."""

    @property
    def info(self) -> dict[str, int | str]:
        """timm's record of a feature map."""
        return {"num_chs": self.num_chs, "reduction": self.reduction, "module": self.module}


def steps(body: list[tuple[str, Layer]], shape: Shape) -> list[Step]:
    """The stem (name, layer) and the stages in order; a stem that strides more than once, layer by layer."""
    stem = body[0][1]
    if isinstance(stem, L.Chain) and sum(stride_of(layer) > 1 for layer in stem.layers) > 1:
        inner = [(f"stem.{name}", layer) for name, layer in zip(stem.names, stem.layers, strict=True)]
        body = inner + body[1:]
    found: list[Step] = []
    reduction = 1
    for name, layer in body:
        shape, reduction = layer.out(shape), reduction * stride_of(layer)
        found.append(Step(name, int(shape.channels), reduction, writes_input(layer)))
    return found


def stride_of(layer: Layer) -> int:
    """By how much a layer reduces the size; global pools, as gates have, do not count."""
    if isinstance(layer, (L.Conv, L.MaxPool, L.AvgPool)):
        return layer.stride
    if not isinstance(layer, L.Combinator):
        return 1
    strides = [stride_of(part) for part in layer.layers]
    return prod(strides) if isinstance(layer, L.Chain) else max(strides, default=1)
