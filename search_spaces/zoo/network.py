"""What the zoo knows of a network: its architecture, what was published of it, and who else implements it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from search_spaces.arch import Arch, Stage
from search_spaces.blocks.inverted_residual import InvertedResidual
from search_spaces.cost import Cost, cost, layer_cost, walk
from search_spaces.layers import BatchNorm, Chain, Combinator, Layer, Linear, Shape

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}


@dataclass(frozen=True)
class Published:
    """Figures as they were printed: `569M` says 569 million to the last digit given.

    macs: multiply-adds of convolutions and linear layers for one image, at `at` px where that is not the
    network's own resolution. top1: ImageNet, in percent.
    omits: what the authors did not count: `stem`, `classifier` (the head's linear layers) or `norms`. doubt: why
    the printed figure cannot be right even so.
    """

    macs: str = ""
    params: str = ""
    top1: float | None = None
    source: str = ""
    omits: tuple[str, ...] = ()
    doubt: str = ""
    at: int | None = None


def agrees(printed: str, value: int) -> bool:
    """Whether a printed figure is `value` to its last digit, however the last digit was rounded."""
    digits, last = _read(printed)
    return abs(value - digits) < last


def figure(printed: str) -> int:
    """The number that a printed figure stands for."""
    return round(_read(printed)[0])


def _read(printed: str) -> tuple[float, float]:
    """The number, and the worth of its last digit."""
    found = re.fullmatch(r"(\d+)(?:\.(\d+))?([KMG]?)", printed)
    assert found, f"a published figure reads like 569M, but got {printed!r}"
    unit = _UNITS[found[3]]
    return float(f"{found[1]}.{found[2] or 0}") * unit, unit / 10 ** len(found[2] or "")


class Place(NamedTuple):
    """Where a parameter is in our network: `stage3.1.path.expand.conv` is layer `expand.conv` of block 1 of stage 3.

    part: `stem`, `stage`, `head` or `aux`. flat: number of the block among all, from 0, the head last.
    place: of the layer among those its inverted residual has, from 0.
    """

    part: str
    stage: int
    block: int
    flat: int
    layer: str
    place: int


Rename = Callable[[Place], str]


@dataclass(frozen=True)
class Judge:
    """Another implementation: `library.model(**options)`, and its name for the layer at a `Place`."""

    library: str
    model: str
    rename: Rename
    options: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Network:
    """A network of the literature. `aux` of its stages exist while training only, and are not counted."""

    name: str
    arch: Arch
    paper: str
    published: Published = Published()
    judge: Judge | None = None
    in_channels: int = 3
    num_classes: int = 1000

    @property
    def cost(self) -> Cost:
        """Of the deployed network, at its own resolution and number of classes."""
        return cost(self.arch, self.in_channels, self.num_classes)

    @property
    def as_printed(self) -> tuple[int, int]:
        """Multiply-adds and parameters, counted as the published figures were."""
        arch = self.arch.at(self.published.at or self.arch.resolution)
        left_out = [_omitted(arch, self.in_channels, self.num_classes, what) for what in self.published.omits]
        whole = cost(arch, self.in_channels, self.num_classes)
        return whole.macs - sum(c.macs for c in left_out), whole.params - sum(c.params for c in left_out)

    def theirs(self, name: str) -> str:
        """The judge's name for our parameter `name`, such as `stage1.0.path.expand.conv.weight`."""
        assert self.judge is not None, f"{self.name} has no other implementation to take weights from"
        layer, _, leaf = name.rpartition(".")
        return f"{self.judge.rename(place(self.arch, layer))}.{leaf}"


def _omitted(arch: Arch, in_channels: int, num_classes: int, what: str) -> Cost:
    steps = walk(arch, in_channels, num_classes)
    if what == "stem":
        return layer_cost(*steps[0][2:])[1]
    kind = {"norms": BatchNorm, "classifier": Linear}[what]
    return sum((_only(layer, shape, kind) for _, _, layer, shape in steps), Cost())


def _only(layer: Layer, shape: Shape, kind: type[Layer]) -> Cost:
    """What the leaves of one kind cost."""
    if not isinstance(layer, Combinator):
        return layer_cost(layer, shape)[1] if isinstance(layer, kind) else Cost()
    total = Cost()
    for part in layer.layers:
        total += _only(part, shape, kind)
        shape = part.out(shape) if isinstance(layer, Chain) else shape
    return total


def place(arch: Arch, layer: str) -> Place:
    """Take a layer's name apart."""
    part, _, rest = layer.partition(".")
    stage = int(part.removeprefix("stage")) if part.startswith("stage") else 0
    if part == "aux":
        number, _, rest = rest.partition(".")
        return Place(part, int(number.removeprefix("stage")), 0, 0, rest, 0)
    if not stage:
        return Place(part, 0, 0, arch.depth if part == "head" else 0, rest, 0)
    block, _, rest = rest.partition(".")
    before = sum(s.depth for s in arch.stages[: stage - 1])
    inner = rest.removeprefix("residual.").removeprefix("path.").removeprefix("fire.")
    return Place("stage", stage, int(block), before + int(block), inner, _order(arch.stages[stage - 1], inner))


def _order(stage: Stage, layer: str) -> int:
    """Which of an inverted residual's layers it is, among those that its fields leave in."""
    if not isinstance(stage.block, InvertedResidual):
        return 0
    there = ["expand"] * (stage.block.expand != 1) + ["depthwise"] + ["se"] * (stage.block.se > 0) + ["project"]
    return there.index(layer.split(".")[0])
