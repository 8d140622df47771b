"""ResNeXt's bottleneck (Xie 2017), in its grouped form."""

from dataclasses import dataclass

from search_spaces.layers import Act, Layer, add, chain, conv_norm, conv_norm_act, shortcut
from search_spaces.part import Block, check_act, check_kernel, require


@dataclass(frozen=True)
class Resnext(Block):
    """1×1, k×k in `cardinality` groups, 1×1, added to the shortcut, then the activation.

    The paper's C×d: `cardinality` paths, each `d` wide in the first stage and doubling with the
    width. `ratio` says it for any width: inner channels (C·d) over the stage's width, 0.5 in the
    paper, rounded to a multiple of the cardinality.
    """

    cardinality: int = 32
    ratio: float = 0.5
    kernel: int = 3
    act: str = "relu"

    def check(self) -> None:
        check_kernel(self, self.kernel)
        check_act(self, self.act)
        require(1 <= self.cardinality <= 1024, "a cardinality from 1 to 1024", self)
        require(0 < self.ratio <= 4, "a ratio in (0, 4]", self)

    def layer(self, in_channels: int, out_channels: int, stride: int) -> Layer:
        inner = self.cardinality * max(1, round(out_channels * self.ratio / self.cardinality))
        return chain(
            residual=add(
                path=chain(
                    reduce=conv_norm_act(inner, act=self.act),
                    grouped=conv_norm_act(inner, self.kernel, stride, groups=self.cardinality, act=self.act),
                    expand=conv_norm(out_channels),
                ),
                shortcut=shortcut(in_channels, out_channels, stride),
            ),
            act=Act(self.act),
        )
