"""A network's feature maps as torchvision's detectors read them: a dict of named maps, finest first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nas.build import initialise, module
from nas.codegen.features import Step, steps
from nas.errors import UserError
from search_spaces.arch import Arch
from search_spaces.layers import Layer, Shape


@dataclass(frozen=True)
class Map:
    """One feature map: its place in the network's list, its channels, and how many times smaller it is."""

    index: int
    channels: int
    reduction: int


class ArchFeatures(nn.Module):
    """An architecture without its head: (N, C, H, W) → a list of maps, the deepest at each reduction.

    The same maps as an export's `load(features_only=True)`, and the same names of weights: a trained network's
    state dict fits once those of `head.` are left out. `feature_info` is timm's.

    Stages deeper than `coarsest` (a reduction) are not built.
    """

    def __init__(self, arch: Arch, in_channels: int = 3, coarsest: int | None = None) -> None:
        super().__init__()
        body, image = _body(arch, in_channels), Shape(in_channels, arch.resolution, arch.resolution)
        self.steps = [step for step in steps(body, image) if coarsest is None or step.reduction <= coarsest]
        # a stem that strides twice is several steps; cut inside of it, it is built whole and read in part
        used, shape = {step.module.partition(".")[0] for step in self.steps}, image
        for name, layer in body:
            if name in used:
                self.add_module(name, module(layer, shape))
            shape = layer.out(shape)
        self.in_channels = in_channels
        self.feature_info = [step.info for step in _deepest(self.steps)]
        initialise(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        maps: dict[int, Tensor] = {}
        before = None
        for step in self.steps:
            # a part that begins with an activation works in place: a map that is kept must not be written over
            kept = before is not None and before != step.reduction
            x = self.get_submodule(step.module)(x.clone() if kept and step.writes else x)
            maps[step.reduction] = x
            before = step.reduction
        return list(maps.values())


class Maps(nn.Module):
    """Some maps of a network that returns a list: (N, C, H, W) → {"0": finest, "1": …}, torchvision's form.

    body: a module with timm's `feature_info` that returns as many maps.
    chosen: which of them, finest first.
    out_channels: of each map, as torchvision's SSD asks for it.
    """

    def __init__(self, body: nn.Module, chosen: Sequence[Map]) -> None:
        super().__init__()
        self.body = body
        self.chosen = tuple(chosen)
        self.out_channels = [m.channels for m in chosen]

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        maps = self.body(x)
        return OrderedDict((str(i), maps[m.index]) for i, m in enumerate(self.chosen))


def _body(arch: Arch, in_channels: int) -> list[tuple[str, Layer]]:
    """Stem and stages with their names."""
    whole = arch.layer(in_channels)
    return list(zip(whole.names, whole.layers, strict=True))[:-1]


def _deepest(found: Sequence[Step]) -> list[Step]:
    """The last step at each reduction, finest first."""
    return list({step.reduction: step for step in found}.values())


def promised(arch: Arch, in_channels: int) -> list[Map]:
    """The maps that an architecture will return, read before it is built."""
    found = _deepest(steps(_body(arch, in_channels), Shape(in_channels, arch.resolution, arch.resolution)))
    return [Map(i, step.num_chs, step.reduction) for i, step in enumerate(found)]


def described(network: nn.Module) -> list[Map]:
    """The maps that a network says it returns; raise `UserError` when it says nothing.

    Reads timm's records, which are a list of dicts in exported modules and a `FeatureInfo` in timm's own.
    """
    info: Any = getattr(network, "feature_info", None)
    if hasattr(info, "get_dicts"):  # timm's FeatureInfo knows which of its maps are returned
        info = info.get_dicts(["num_chs", "reduction"])
    if not isinstance(info, (list, tuple)) or not info:
        raise UserError(
            "a backbone must be an Arch or a network that returns feature maps and says which in feature_info, "
            f"but got {type(network).__name__} without it; load an export, or timm's, with features_only=True"
        )
    return [Map(i, int(m["num_chs"]), int(m["reduction"])) for i, m in enumerate(info)]


def input_channels(network: nn.Module) -> int:
    """Channels of the images that a network reads: those of its first convolution."""
    convolutions = (part for part in network.modules() if isinstance(part, nn.Conv2d))
    first = next(convolutions, None)
    return 3 if first is None else first.in_channels


def choose(maps: list[Map], reductions: Sequence[int] | None, finest: int) -> list[Map]:
    """The maps at `reductions`, or all from `finest` on; raise `UserError` that lists those there are."""
    there = [m.reduction for m in maps]
    if reductions is None:
        return [m for m in maps if m.reduction >= finest] or maps[-1:]
    if not isinstance(reductions, Iterable):
        raise UserError(f"reductions must be a sequence, such as ({reductions},), but got {reductions}")
    wanted = sorted(set(reductions))
    if not wanted or not set(wanted) <= set(there):
        raise UserError(
            f"reductions must be some of those that the backbone has maps at, {there}, but got {list(reductions)}"
        )
    return [m for m in maps if m.reduction in wanted]


@torch.no_grad()
def check_maps(network: nn.Module, maps: Sequence[Map], in_channels: int, side: int) -> None:
    """Show the network one black image; raise `UserError` unless what returns is what `feature_info` says.

    side: px of the image that the detector will show it; too small a one is found here, not in training.
    """
    weight = next(network.parameters(), torch.empty(0))
    image = torch.zeros(1, in_channels, side, side, device=weight.device, dtype=weight.dtype)
    modes = {part: part.training for part in network.modules()}  # parts may be frozen in eval mode
    network.eval()
    try:
        found: Any = network(image)
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        raise UserError(
            f"a backbone must read images of {in_channels}×{side}×{side}, but {type(network).__name__} says: "
            f"{str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__}"
        ) from None
    finally:
        for part, mode in modes.items():
            part.training = mode
    if not isinstance(found, (list, tuple)) or not all(isinstance(m, Tensor) and m.ndim == 4 for m in found):
        raise UserError(
            f"a backbone must return a list of feature maps, but {type(network).__name__} returned "
            f"{_kind(found)}; load it with features_only=True"
        )
    for m in maps:
        channels = found[m.index].shape[1] if m.index < len(found) else 0
        if channels != m.channels:
            raise UserError(
                f"a backbone's maps must be (N, channels, H, W) as its feature_info says, {m.channels} channels at "
                f"reduction {m.reduction}, but it returned {channels}"
            )


def _kind(found: Any) -> str:
    return f"one tensor {tuple(found.shape)}" if isinstance(found, Tensor) else f"a {type(found).__name__}"
