"""DenseNet's dense block with its transition (Huang 2017)."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Self

from search_spaces.layers import Act, AvgPool, BatchNorm, Conv, Identity, Layer, chain, concat, scaled_width
from search_spaces.part import Block, check_act, check_channels, check_kernel, require


@dataclass(frozen=True)
class Dense(Block):
    """`layers` dense layers that each add `growth` channels, then a transition to the stage's width.

    A dense layer is batch norm, activation, 1×1 to `bottleneck`·growth, batch norm, activation,
    k×k to growth, concatenated with its input. The transition is batch norm, activation and a 1×1
    convolution: with it any block may follow. `transition=false` ends with the grown channels, which
    must then be the stage's width (DenseNet's last block). The paper pools 2×2 after a transition;
    here that pool opens the next stage, as its stride. ceil: round an odd size up there, as all blocks do;
    the usual implementations round down.
    """

    layers: int = 4
    growth: int = 32
    bottleneck: int = 4
    kernel: int = 3
    act: str = "relu"
    transition: bool = True
    ceil: bool = True

    def check(self) -> None:
        check_kernel(self, self.kernel)
        check_act(self, self.act)
        check_channels(self, self.growth)
        require(1 <= self.layers <= 128, "1 to 128 layers", self)
        require(0 <= self.bottleneck <= 16, "a bottleneck from 0 (none) to 16", self)

    def deepened(self, factor: float) -> Self:
        return replace(self, layers=max(1, round(self.layers * factor)))

    def widened_to(self, width: int, factor: float, in_channels: int, before: int) -> tuple[Self, int]:
        """Growth scales; without a transition the width is what the block grows to."""
        block = replace(self, growth=max(1, round(self.growth * factor)))
        grown = in_channels + block.layers * block.growth
        return block, scaled_width(width, factor) if self.transition else grown

    def layer(self, in_channels: int, out_channels: int, stride: int) -> Layer:
        parts: dict[str, Layer] = {}
        if stride > 1:
            parts["pool"] = AvgPool(stride, stride, ceil=self.ceil)
        grows = _grows(self.growth, self.bottleneck, self.kernel, self.act)
        parts |= {f"layer{i}": grows for i in range(1, self.layers + 1)}
        if self.transition:
            parts["transition"] = chain(norm=BatchNorm(), act=Act(self.act), conv=Conv(out_channels))
        grown = in_channels + self.layers * self.growth
        require(
            self.transition or grown == out_channels,
            f"without a transition, a width of the grown {grown} channels",
            self,
        )
        return chain(**parts)


@lru_cache(maxsize=1_024)
def _grows(growth: int, bottleneck: int, kernel: int, act: str) -> Layer:
    """One dense layer, the same object wherever it stands: what was read of it is recognised at a glance."""
    parts: dict[str, Layer] = {"norm1": BatchNorm(), "act1": Act(act)}
    if bottleneck:
        parts |= {"conv1": Conv(bottleneck * growth), "norm2": BatchNorm(), "act2": Act(act)}
    return concat(identity=Identity(), new=chain(**parts, conv=Conv(growth, kernel)))
