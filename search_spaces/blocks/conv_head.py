"""A convolution to one map a class, then global average pooling: no fully connected layer."""

from dataclasses import dataclass

from search_spaces.layers import Act, AdaptivePool, Conv, Dropout, Flatten, Layer, chain
from search_spaces.part import Head, check_kernel, require


@dataclass(frozen=True)
class ConvHead(Head):
    """(N, C, H, W) → (N, classes), as Network in Network (3×3) and SqueezeNet (1×1) end.

    The activation before pooling is both papers' own; `hidden` adds NiN's two 1×1 convolutions.
    """

    kernel: int = 1
    dropout: float = 0.5
    hidden: bool = False

    def check(self) -> None:
        check_kernel(self, self.kernel)
        require(0 <= self.dropout < 1, "a dropout in [0, 1)", self)

    def layer(self, in_channels: int, num_classes: int) -> Layer:
        parts: dict[str, Layer] = {"dropout": Dropout(self.dropout)} if self.dropout else {}
        parts |= {"conv": Conv(num_classes, self.kernel, bias=True), "act": Act("relu")}
        if self.hidden:
            for i in (1, 2):
                parts |= {f"mix{i}": Conv(num_classes, bias=True), f"mix{i}_act": Act("relu")}
        return chain(**parts, pool=AdaptivePool(1), flatten=Flatten())
