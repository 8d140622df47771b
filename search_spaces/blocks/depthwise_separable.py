"""MobileNet's depthwise separable convolution (Howard 2017), and Xception's order of it (Chollet 2017)."""

from dataclasses import dataclass

from search_spaces.layers import Act, Layer, chain, conv_norm, conv_norm_act
from search_spaces.part import Block, check_act, check_kernel


@dataclass(frozen=True)
class DepthwiseSeparable(Block):
    """k×k depthwise, batch norm, activation, 1×1 pointwise, batch norm, activation.

    `between=false` leaves out the activation between the two, as Xception does.
    """

    kernel: int = 3
    act: str = "relu"
    between: bool = True

    def check(self) -> None:
        check_kernel(self, self.kernel)
        check_act(self, self.act)

    def layer(self, in_channels: int, out_channels: int, stride: int) -> Layer:
        depthwise = conv_norm(in_channels, self.kernel, stride, groups=in_channels)
        if self.between:
            depthwise = chain(**dict(zip(depthwise.names, depthwise.layers, strict=True)), act=Act(self.act))
        return chain(depthwise=depthwise, pointwise=conv_norm_act(out_channels, act=self.act))
