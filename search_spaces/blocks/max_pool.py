"""Max pooling as a row of its own, as the tables of AlexNet's to GoogLeNet's time write it."""

from dataclasses import dataclass
from typing import Self

from search_spaces import layers as L
from search_spaces.layers import Layer, chain, conv_norm, scaled_width
from search_spaces.part import MAX_KERNEL, Block, require


@dataclass(frozen=True)
class MaxPool(Block):
    """k×k max pool with the stage's stride; a 1×1 convolution with batch norm follows where the width must change.

    valid: no padding, which else keeps the size at stride 1. ceil: round the size up, as Caffe did and with
    it SqueezeNet and GoogLeNet.
    """

    repeats = False

    kernel: int = 3
    valid: bool = False
    ceil: bool = False

    def check(self) -> None:
        require(2 <= self.kernel <= MAX_KERNEL, f"a kernel from 2 to {MAX_KERNEL}", self)
        require(self.valid or self.kernel % 2 == 1, "an odd kernel, where it pads,", self)

    def widened_to(self, width: int, factor: float, in_channels: int, before: int) -> tuple[Self, int]:
        """A pool keeps what it reads, unless it projected that to another width."""
        return self, in_channels if width == before else scaled_width(width, factor)

    def layer(self, in_channels: int, out_channels: int, stride: int) -> Layer:
        pool = L.MaxPool(self.kernel, stride, 0 if self.valid else self.kernel // 2, self.ceil)
        return pool if in_channels == out_channels else chain(pool=pool, project=conv_norm(out_channels))
