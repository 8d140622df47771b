"""ResNet's bottleneck (He 2015)."""

from dataclasses import dataclass

from search_spaces.layers import Act, Layer, add, chain, conv_norm, conv_norm_act, shortcut
from search_spaces.part import Block, check_act, check_kernel, require


@dataclass(frozen=True)
class Bottleneck(Block):
    """1×1 down to `ratio`·width channels, k×k, 1×1 up, added to the shortcut, then the activation.

    The stride sits in the k×k convolution, as in torchvision ("v1.5").
    """

    kernel: int = 3
    ratio: float = 0.25
    act: str = "relu"

    def check(self) -> None:
        check_kernel(self, self.kernel)
        check_act(self, self.act)
        require(0 < self.ratio <= 4, "a ratio in (0, 4]", self)

    def layer(self, in_channels: int, out_channels: int, stride: int) -> Layer:
        inner = max(1, round(out_channels * self.ratio))
        return chain(
            residual=add(
                path=chain(
                    reduce=conv_norm_act(inner, act=self.act),
                    conv=conv_norm_act(inner, self.kernel, stride, act=self.act),
                    expand=conv_norm(out_channels),
                ),
                shortcut=shortcut(in_channels, out_channels, stride),
            ),
            act=Act(self.act),
        )
