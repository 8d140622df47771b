"""Spatial pyramid pooling: a vector of one length for any input size (He 2014, SPP-net)."""

from dataclasses import dataclass

from search_spaces.layers import AdaptivePool, Flatten, Layer, Linear, chain, concat, fully_connected
from search_spaces.part import MAX_CHANNELS, Head, require


@dataclass(frozen=True)
class SppHead(Head):
    """(N, C, H, W) → (N, classes): max pooled to each of `bins` × `bins`, concatenated, fully connected.

    The vector has C · Σ bins² features whatever H and W are. The paper's classifier has bins 6, 3, 2, 1
    and two hidden layers of 4096; `depth` 0 leaves the classifier alone.
    """

    bins: tuple[int, ...] = (1, 2, 3, 6)
    hidden: int = 4096
    depth: int = 0
    dropout: float = 0.5

    def check(self) -> None:
        require(1 <= len(self.bins) <= 8 and all(1 <= b <= 64 for b in self.bins), "1 to 8 bins from 1 to 64", self)
        require(1 <= self.hidden <= MAX_CHANNELS, f"1 to {MAX_CHANNELS} hidden features", self)
        require(0 <= self.depth <= 8, "0 to 8 hidden layers", self)
        require(0 <= self.dropout < 1, "a dropout in [0, 1)", self)

    def layer(self, in_channels: int, num_classes: int) -> Layer:
        levels = {f"bin{i}": chain(AdaptivePool(b, maximum=True), Flatten()) for i, b in enumerate(self.bins, 1)}
        hidden = fully_connected(self.hidden, self.depth, self.dropout)
        return chain(pyramid=concat(**levels), **hidden, classifier=Linear(num_classes))
