"""SqueezeNet's fire module (Iandola 2016)."""

from dataclasses import dataclass

from search_spaces.layers import Chain, Conv, Identity, Layer, MaxPool, add, chain, concat, conv_then
from search_spaces.part import Block, check_act, require


@dataclass(frozen=True)
class Fire(Block):
    """1×1 squeeze, then 1×1 and 3×3 expansions concatenated.

    squeeze: squeezed channels over output channels (the paper's 1/8). share3: part of the output
    channels that the 3×3 expansion makes. bypass: `none`; `simple` adds the input where shapes allow;
    `complex` adds a 1×1 convolution of it where they do not. A stride is a 3×3 max pool before the module.
    """

    squeeze: float = 0.125
    share3: float = 0.5
    bypass: str = "none"
    act: str = "relu"
    norm: bool = True

    def check(self) -> None:
        check_act(self, self.act)
        require(0 < self.squeeze <= 1, "a squeeze ratio in (0, 1]", self)
        require(0 < self.share3 < 1, "a share of 3×3 in (0, 1)", self)
        require(self.bypass in ("none", "simple", "complex"), "a bypass of none, simple or complex", self)

    def layer(self, in_channels: int, out_channels: int, stride: int) -> Layer:
        require(out_channels >= 2, "a channel for each expansion", self)
        three = min(max(1, round(out_channels * self.share3)), out_channels - 1)
        module = chain(
            squeeze=self._conv(max(1, round(out_channels * self.squeeze))),
            expand=concat(one=self._conv(out_channels - three), three=self._conv(three, 3)),
        )
        bypassed = self._bypassed(module, in_channels, out_channels)
        return chain(pool=MaxPool(3, stride, 1), fire=bypassed) if stride > 1 else bypassed

    def _bypassed(self, module: Chain, in_channels: int, out_channels: int) -> Layer:
        if self.bypass != "none" and in_channels == out_channels:
            return add(identity=Identity(), fire=module)
        if self.bypass == "complex":
            return add(bypass=Conv(out_channels, bias=True), fire=module)
        return module

    def _conv(self, channels: int, kernel: int = 1) -> Chain:
        return conv_then(self.norm, channels, kernel, act=self.act)
