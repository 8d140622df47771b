"""Max pooling as a row of its own, as the tables of AlexNet's to GoogLeNet's time write it."""

from dataclasses import dataclass

from search_spaces import layers as L
from search_spaces.layers import Layer, chain, conv_norm
from search_spaces.part import MAX_KERNEL, Block, require


@dataclass(frozen=True)
class MaxPool(Block):
    """k×k max pool with the stage's stride; a 1×1 convolution with batch norm follows where the width must change.

    ceil: round the size up, as Caffe did and with it SqueezeNet and GoogLeNet, which do not pad.
    """

    kernel: int = 3
    padding: int = 1
    ceil: bool = False

    def check(self) -> None:
        require(1 <= self.kernel <= MAX_KERNEL, f"a kernel from 1 to {MAX_KERNEL}", self)
        require(0 <= 2 * self.padding < self.kernel, "a padding from 0 to less than half the kernel", self)

    def layer(self, in_channels: int, out_channels: int, stride: int) -> Layer:
        pool = L.MaxPool(self.kernel, stride, self.padding, self.ceil)
        return pool if in_channels == out_channels else chain(pool=pool, project=conv_norm(out_channels))
