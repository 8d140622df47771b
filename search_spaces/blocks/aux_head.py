"""GoogLeNet's auxiliary classifier (Szegedy 2014): it feeds gradient into the middle of a deep network."""

from dataclasses import dataclass

from search_spaces.layers import AdaptivePool, Flatten, Layer, Linear, chain, conv_then, fully_connected
from search_spaces.part import Auxiliary, check_channels, require


@dataclass(frozen=True)
class AuxHead(Auxiliary):
    """(N, C, H, W) → (N, classes) while training: pool to `size` × `size`, 1×1 convolution, hidden layer, classifier.

    As torchvision has it: the paper pools 5×5 with stride 3, which makes 4×4 of its 14×14 maps too, by other
    windows. weight: of its loss, the paper's 0.3.
    """

    weight: float = 0.3
    width: int = 128
    hidden: int = 1024
    size: int = 4
    dropout: float = 0.7
    norm: bool = False

    def check(self) -> None:
        check_channels(self, self.width, self.hidden)
        require(0 < self.weight <= 10, "a weight in (0, 10]", self)
        require(1 <= self.size <= 64, "a size from 1 to 64", self)
        require(0 <= self.dropout < 1, "a dropout in [0, 1)", self)

    def layer(self, in_channels: int, num_classes: int) -> Layer:
        return chain(
            pool=AdaptivePool(self.size),
            conv=conv_then(self.norm, self.width),
            flatten=Flatten(),
            **fully_connected(self.hidden, 1, self.dropout),
            classifier=Linear(num_classes),
        )
