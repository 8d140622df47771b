"""Global average pooling and one linear layer: the head of nearly every network since 2014."""

from dataclasses import dataclass, replace
from typing import Self

from search_spaces.layers import (
    Act,
    AdaptivePool,
    BatchNorm,
    Dropout,
    Flatten,
    Layer,
    Linear,
    chain,
    conv_norm_act,
    scaled_width,
)
from search_spaces.part import MAX_CHANNELS, Head, check_act, require


@dataclass(frozen=True)
class PoolHead(Head):
    """(N, C, H, W) → (N, classes). `width`: a 1×1 convolution before the pool (MobileNetV2's 1280), 0 for none.

    `hidden`: a fully connected layer with activation before the classifier (MobileNetV3's 1280), 0 for none.
    `preact` puts the batch norm and activation that DenseNet's last block still lacks first.
    """

    width: int = 0
    act: str = "relu"
    dropout: float = 0.0
    preact: bool = False
    hidden: int = 0

    def check(self) -> None:
        check_act(self, self.act)
        require(0 <= self.width <= MAX_CHANNELS, f"a width from 0 to {MAX_CHANNELS}", self)
        require(0 <= self.hidden <= MAX_CHANNELS, f"0 to {MAX_CHANNELS} hidden features", self)
        require(0 <= self.dropout < 1, "a dropout in [0, 1)", self)

    def widened(self, factor: float) -> Self:
        width, hidden = (scaled_width(channels, factor) if channels else 0 for channels in (self.width, self.hidden))
        return replace(self, width=width, hidden=hidden)

    def layer(self, in_channels: int, num_classes: int) -> Layer:
        parts: dict[str, Layer] = {}
        if self.preact:
            parts |= {"norm": BatchNorm(), "act": Act(self.act)}
        if self.width:
            parts["conv"] = conv_norm_act(self.width, act=self.act)
        parts |= {"pool": AdaptivePool(1), "flatten": Flatten()}
        if self.hidden:
            parts |= {"hidden": Linear(self.hidden), "hidden_act": Act(self.act)}
        if self.dropout:
            parts["dropout"] = Dropout(self.dropout)
        return chain(**parts, classifier=Linear(num_classes))
