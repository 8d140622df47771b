"""ShuffleNet's unit (Zhang 2017)."""

from dataclasses import dataclass
from math import lcm
from typing import Self

from search_spaces.layers import (
    Act,
    AvgPool,
    Identity,
    Layer,
    Shuffle,
    add,
    chain,
    concat,
    conv_norm,
    conv_norm_act,
    scaled_width,
)
from search_spaces.part import Block, check_act, check_kernel, require


@dataclass(frozen=True)
class ShuffleUnit(Block):
    """Grouped 1×1, channel shuffle, k×k depthwise, grouped 1×1; no activation after the depthwise.

    Stride 1 at equal widths adds the input. Else the path is concatenated with the input, average
    pooled 3×3 when it strides; where the unit narrows, the path alone remains. Channels that the groups
    do not divide are met by the largest divisor of both that is no larger.
    groups: of the 1×1 convolutions. ratio: bottleneck channels over the stage's width.
    first_groups: groups of the first 1×1, 0 for `groups` (the paper's first unit has 1).
    """

    groups: int = 3
    ratio: float = 0.25
    kernel: int = 3
    act: str = "relu"
    first_groups: int = 0

    def check(self) -> None:
        check_kernel(self, self.kernel)
        check_act(self, self.act)
        require(1 <= self.groups <= 64 and 0 <= self.first_groups <= 64, "groups from 1 to 64", self)
        require(0 < self.ratio <= 4, "a ratio in (0, 4]", self)

    def widened_to(self, width: int, factor: float, in_channels: int, before: int) -> tuple[Self, int]:
        """Widths that the groups divide, as all of the paper's are."""
        return self, scaled_width(width, factor, lcm(8, self.groups))

    def layer(self, in_channels: int, out_channels: int, stride: int) -> Layer:
        same = stride == 1 and in_channels == out_channels
        joined = not same and in_channels < out_channels
        inner = self.groups * max(1, round(out_channels * self.ratio / self.groups))
        new = out_channels - in_channels if joined else out_channels
        path = chain(
            reduce=conv_norm_act(
                inner, groups=_groups(self.first_groups or self.groups, in_channels, inner), act=self.act
            ),
            shuffle=Shuffle(self.groups),
            depthwise=conv_norm(inner, self.kernel, stride, groups=inner),
            expand=conv_norm(new, groups=_groups(self.groups, inner, new)),
        )
        if same:
            return chain(unit=add(identity=Identity(), path=path), act=Act(self.act))
        kept = AvgPool(3, stride, 1) if stride > 1 else Identity()
        return chain(unit=concat(kept=kept, path=path) if joined else path, act=Act(self.act))


def _groups(wanted: int, *channels: int) -> int:
    return max(g for g in range(1, wanted + 1) if all(c % g == 0 for c in channels))
