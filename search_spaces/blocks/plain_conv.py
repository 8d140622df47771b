"""A convolution by itself: the block of AlexNet and VGG (Simonyan 2014)."""

from dataclasses import dataclass

from search_spaces.layers import Layer, conv_then
from search_spaces.part import Block, check_act, check_kernel


@dataclass(frozen=True)
class PlainConv(Block):
    """k×k convolution, batch norm, activation; `norm=false` has a bias instead, as before batch norm."""

    kernel: int = 3
    act: str = "relu"
    norm: bool = True

    def check(self) -> None:
        check_kernel(self, self.kernel)
        check_act(self, self.act)

    def layer(self, in_channels: int, out_channels: int, stride: int) -> Layer:
        return conv_then(self.norm, out_channels, self.kernel, stride, self.act)
