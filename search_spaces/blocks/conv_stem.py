"""The usual first layers: one strided convolution, perhaps a max pool."""

from dataclasses import dataclass

from search_spaces.layers import Chain, Layer, MaxPool, conv_then
from search_spaces.part import Stem, check_act, check_channels, check_kernel, require


@dataclass(frozen=True)
class ConvStem(Stem):
    """(N, in, H, W) → (N, width, H / stride, W / stride), halved once more by `pool`.

    MobileNets: 3×3 stride 2. ResNet, DenseNet: 7×7 stride 2 and a 3×3 max pool. Networks from
    before batch norm: `norm=false`, a convolution with bias.
    """

    width: int
    kernel: int = 3
    stride: int = 2
    act: str = "relu"
    norm: bool = True
    pool: bool = False

    def check(self) -> None:
        check_kernel(self, self.kernel)
        check_channels(self, self.width)
        check_act(self, self.act)
        require(1 <= self.stride <= 8, "a stride from 1 to 8", self)

    def layer(self, in_channels: int) -> Layer:
        first = conv_then(self.norm, self.width, self.kernel, self.stride, self.act)
        pool = {"pool": MaxPool(3, 2, 1)} if self.pool else {}
        return Chain((*first.layers, *pool.values()), (*first.names, *pool))
