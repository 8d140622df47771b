"""MobileNetV2's inverted residual (Sandler 2018), with EfficientNet's or MobileNetV3's squeeze-excitation."""

from dataclasses import dataclass

from search_spaces.layers import Identity, Layer, add, chain, conv_norm, conv_norm_act, divisible, squeeze_excite
from search_spaces.part import Block, check_act, check_kernel, require


@dataclass(frozen=True)
class InvertedResidual(Block):
    """1×1 expansion, k×k depthwise, (squeeze-excitation), linear 1×1 projection; shortcut at equal shapes.

    expand: hidden channels over input channels; 1 leaves the expansion out.
    se: squeezed channels over the block's input channels, 0 for none (EfficientNet: 0.25).
    se_from: `input`, or `hidden` for MobileNetV3's form: squeezed channels over the hidden ones, rounded to
    a multiple of 8, ReLU between and a hard sigmoid as the gate (Howard 2019).
    """

    kernel: int = 3
    expand: float = 6
    se: float = 0
    act: str = "relu6"
    se_from: str = "input"

    def check(self) -> None:
        check_kernel(self, self.kernel)
        check_act(self, self.act)
        require(1 <= self.expand <= 64, "an expansion from 1 to 64", self)
        require(0 <= self.se <= 1, "a squeeze ratio from 0 to 1", self)
        require(self.se_from in ("input", "hidden"), "squeezing from input or hidden channels", self)

    def layer(self, in_channels: int, out_channels: int, stride: int) -> Layer:
        hidden = round(in_channels * self.expand)
        parts: dict[str, Layer] = {}
        if hidden != in_channels:
            parts["expand"] = conv_norm_act(hidden, act=self.act)
        parts["depthwise"] = conv_norm_act(hidden, self.kernel, stride, groups=hidden, act=self.act)
        if self.se:
            parts["se"] = self._gate(in_channels, hidden)
        parts["project"] = conv_norm(out_channels)
        path = chain(**parts)
        return add(identity=Identity(), path=path) if stride == 1 and in_channels == out_channels else path

    def _gate(self, in_channels: int, hidden: int) -> Layer:
        if self.se_from == "hidden":
            return squeeze_excite(hidden, divisible(hidden * self.se), act="relu", gate="hardsigmoid")
        return squeeze_excite(hidden, max(1, int(in_channels * self.se)), act=self.act)
