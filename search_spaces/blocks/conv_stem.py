"""The usual first layers: one strided convolution, perhaps a max pool."""

from dataclasses import dataclass, replace
from typing import Self

from search_spaces.layers import Chain, Layer, MaxPool, conv_then, scaled_width, valid
from search_spaces.part import Stem, check_act, check_channels, check_kernel, require


@dataclass(frozen=True)
class ConvStem(Stem):
    """(N, in, H, W) → (N, width, H / stride, W / stride), halved once more by `pool`.

    MobileNets: 3×3 stride 2. ResNet, DenseNet: 7×7 stride 2 and a 3×3 max pool. Networks from
    before batch norm: `norm=false`, a convolution with bias, and `valid=true`, no padding (SqueezeNet,
    NiN). `mix`: 1×1 convolutions with activation after the first (2 make it NiN's first mlpconv).
    """

    width: int
    kernel: int = 3
    stride: int = 2
    act: str = "relu"
    norm: bool = True
    pool: bool = False
    valid: bool = False
    mix: int = 0

    def check(self) -> None:
        check_kernel(self, self.kernel)
        check_channels(self, self.width)
        check_act(self, self.act)
        require(1 <= self.stride <= 8, "a stride from 1 to 8", self)
        require(0 <= self.mix <= 8, "0 to 8 mixing convolutions", self)

    def widened(self, factor: float) -> Self:
        return replace(self, width=scaled_width(self.width, factor))

    def layer(self, in_channels: int) -> Layer:
        first = conv_then(self.norm, self.width, self.kernel, self.stride, self.act)
        first = valid(first) if self.valid else first
        more: dict[str, Layer] = {
            f"mix{i}": conv_then(self.norm, self.width, act=self.act) for i in range(1, self.mix + 1)
        }
        if self.pool:
            more["pool"] = MaxPool(3, 2, 1)
        return Chain((*first.layers, *more.values()), (*first.names, *more))
