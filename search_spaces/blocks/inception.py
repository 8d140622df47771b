"""GoogLeNet's inception module (Szegedy 2014)."""

from dataclasses import dataclass, replace
from typing import Self

from search_spaces.errors import ArchError
from search_spaces.layers import Chain, Layer, MaxPool, chain, concat, conv_then, scaled_width
from search_spaces.part import Block, check_act, check_kernel, require


@dataclass(frozen=True)
class Inception(Block):
    """Four branches, concatenated: 1×1; 1×1 → 3×3; 1×1 → k×k; 3×3 max pool → 1×1.

    shares: parts of the output channels that go to the four branches, in sixteenths; GoogLeNet's
    modules lie near (4, 8, 2, 2). reduce: channels after a bottleneck over those it feeds.
    `widths` gives a paper's exact six numbers instead: 1×1, reduce, 3×3, reduce, k×k, pool.
    A stride is a 3×3 max pool before the module, as in the paper.
    """

    shares: tuple[int, ...] = (4, 8, 2, 2)
    reduce: float = 0.5
    kernel: int = 5
    act: str = "relu"
    norm: bool = True
    widths: tuple[int, ...] = ()

    def check(self) -> None:
        check_kernel(self, self.kernel)
        check_act(self, self.act)
        require(
            len(self.shares) == 4 and min(self.shares) >= 1 and sum(self.shares) == 16,
            "four shares, each at least 1, of sum 16",
            self,
        )
        require(0 < self.reduce <= 1, "a reduction in (0, 1]", self)
        require(
            not self.widths or (len(self.widths) == 6 and min(self.widths) >= 1),
            "no or six widths, each at least 1",
            self,
        )

    def widened_to(self, width: int, factor: float, in_channels: int, before: int) -> tuple[Self, int]:
        """Exact widths scale one by one, and the stage is their sum; shares stay as they are."""
        if not self.widths:
            return self, scaled_width(width, factor)
        widths = tuple(scaled_width(w, factor) for w in self.widths)
        return replace(self, widths=widths), sum(widths) - widths[1] - widths[3]  # without the two reductions

    def layer(self, in_channels: int, out_channels: int, stride: int) -> Layer:
        one, reduce3, three, reduce5, five, pooled = self.widths or self._shared(out_channels)
        if one + three + five + pooled != out_channels:
            raise ArchError(
                f"branch widths must sum to {out_channels} channels, but got {one} + {three} + {five} + {pooled}"
            )
        branches = concat(
            one=self._conv(one),
            three=chain(reduce=self._conv(reduce3), conv=self._conv(three, 3)),
            five=chain(reduce=self._conv(reduce5), conv=self._conv(five, self.kernel)),
            pool=chain(pool=MaxPool(3, 1, 1), conv=self._conv(pooled)),
        )
        return chain(pool=MaxPool(3, stride, 1), branches=branches) if stride > 1 else branches

    def _shared(self, channels: int) -> tuple[int, ...]:
        _, three, five, pooled = (max(1, channels * share // 16) for share in self.shares)
        one = channels - three - five - pooled
        require(one >= 1, "a channel for every branch", self)
        return one, max(1, round(three * self.reduce)), three, max(1, round(five * self.reduce)), five, pooled

    def _conv(self, channels: int, kernel: int = 1) -> Chain:
        return conv_then(self.norm, channels, kernel, act=self.act)
