"""Fully connected layers on the flattened map: the head of AlexNet and VGG (Simonyan 2014)."""

from dataclasses import dataclass

from search_spaces.layers import AdaptivePool, Flatten, Layer, Linear, chain, fully_connected
from search_spaces.part import MAX_CHANNELS, Head, require


@dataclass(frozen=True)
class FcHead(Head):
    """(N, C, H, W) → (N, classes): pooled to `size` × `size`, flattened, `depth` hidden layers, classifier.

    Most of VGG's 138 million parameters are here, which global pooling (`pool_head`) saves.
    """

    size: int = 7
    hidden: int = 4096
    depth: int = 2
    dropout: float = 0.5

    def check(self) -> None:
        require(1 <= self.size <= 64, "a size from 1 to 64", self)
        require(1 <= self.hidden <= MAX_CHANNELS, f"1 to {MAX_CHANNELS} hidden features", self)
        require(0 <= self.depth <= 8, "0 to 8 hidden layers", self)
        require(0 <= self.dropout < 1, "a dropout in [0, 1)", self)

    def layer(self, in_channels: int, num_classes: int) -> Layer:
        hidden = fully_connected(self.hidden, self.depth, self.dropout)
        return chain(pool=AdaptivePool(self.size), flatten=Flatten(), **hidden, classifier=Linear(num_classes))
