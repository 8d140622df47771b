"""The systems of the field as numbers: what tests of shapes, multiply-adds and parameters share.

Every figure in them is what a paper prints or is worked out by hand; none comes from the code under test. What
blocks compute is in the tests beside `tests/nas/judging.py`, whole networks against torchvision and timm are in
`tests/nas/test_zoo.py`, and the blocks one by one are in `test_block_papers.py`, to which comments refer.
"""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import strategies as st

from search_spaces.arch import Arch
from search_spaces.cost import Cost, layer_cost
from search_spaces.layers import Chain, Combinator, Layer, Shape
from search_spaces.part import Block

SIZES = st.integers(1, 64)
CHANNELS = st.integers(1, 300)


def of(layer: Layer, *shape: int) -> Cost:
    return layer_cost(layer, Shape(*shape))[1]


def macs(layer: Layer, *shape: int) -> int:
    return of(layer, *shape).macs


def leaves(layer: Layer, shape: Shape) -> Iterator[tuple[Layer, Shape]]:
    """Every leaf with the shape that it reads, in order of execution."""
    if not isinstance(layer, Combinator):
        yield layer, shape
        return
    for part in layer.layers:
        yield from leaves(part, shape)
        shape = part.out(shape) if isinstance(layer, Chain) else shape


def of_arch(arch: Arch, in_channels: int = 3) -> list[tuple[Layer, Shape]]:
    return list(leaves(arch.layer(in_channels), Shape(in_channels, arch.resolution, arch.resolution)))


def blocks(arch: Arch, in_channels: int = 3) -> list[tuple[Block, Layer, Shape]]:
    """(block, its layer, the shape it reads) of all stages, in order."""
    shape, found = arch.stem.layer(in_channels).out(Shape(in_channels, arch.resolution, arch.resolution)), []
    for stage in arch.stages:
        for layer in stage.layers(shape.channels):
            found.append((stage.block, layer, shape))
            shape = layer.out(shape)
    return found


def unshaped(layer: Layer) -> list[Layer]:
    """The leaves alone."""
    return [leaf for part in layer.layers for leaf in unshaped(part)] if isinstance(layer, Combinator) else [layer]


def kinds(layer: Layer) -> str:
    """'Conv BatchNorm Act'."""
    return " ".join(type(leaf).__name__ for leaf in unshaped(layer))
