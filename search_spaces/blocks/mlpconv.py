"""Network in Network's mlpconv (Lin 2013)."""

from dataclasses import dataclass

from search_spaces.layers import Chain, Layer, MaxPool, chain, conv_then
from search_spaces.part import Block, check_act, check_kernel


@dataclass(frozen=True)
class Mlpconv(Block):
    """k×k convolution, then two 1×1 convolutions, each with activation: a small MLP at every pixel.

    A stride is the paper's 3×3 max pool before the block. `norm` adds batch norm, which the paper
    predates and short training needs.
    """

    kernel: int = 3
    act: str = "relu"
    norm: bool = True

    def check(self) -> None:
        check_kernel(self, self.kernel)
        check_act(self, self.act)

    def layer(self, in_channels: int, out_channels: int, stride: int) -> Layer:
        pool: dict[str, Layer] = {"pool": MaxPool(3, stride, 1)} if stride > 1 else {}
        mix = self._conv(out_channels)
        return chain(**pool, conv=self._conv(out_channels, self.kernel), mix1=mix, mix2=mix)

    def _conv(self, channels: int, kernel: int = 1) -> Chain:
        return conv_then(self.norm, channels, kernel, act=self.act)
