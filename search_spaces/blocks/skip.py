"""No block: the choice that lets a search shorten a network (ProxylessNAS, NAS-Bench-Macro)."""

from dataclasses import dataclass

from search_spaces.layers import Layer, shortcut
from search_spaces.part import Block


@dataclass(frozen=True)
class Skip(Block):
    """The identity; where the shape must change, a strided 1×1 convolution with batch norm."""

    def layer(self, in_channels: int, out_channels: int, stride: int) -> Layer:
        return shortcut(in_channels, out_channels, stride)
