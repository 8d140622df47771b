"""The supernet: one module that holds the weights of every network of a space.

A selected network is an ordinary module of `nas.build` whose parameters are views of the shared tensors; their
gradients are added to those of the shared tensors as they arise. All that works on networks – quickened
convolutions, recalibration, validation – works on a selected one.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor, nn

from nas import device as devices
from nas.build import initialise, module
from nas.supernet.extents import kinds_of, position, survey
from nas.supernet.reading import Layout, Reading, Slice, read
from nas.supernet.slicing import Pieces, largest_leaf, pieces_of
from search_spaces.arch import Arch
from search_spaces.cost import walk
from search_spaces.layers import Layer, Shape, with_eps
from search_spaces.space import Space

BLOCKS_KEPT = 4_096  # selected blocks that are kept as modules: views, so some kilobytes each


class Supernet(nn.Module):
    """Every network of `space`, in tensors as large as the largest's (Cai 2020) and one set for each alternative.

    (N, in_channels, H, W) → (N, num_classes) for the selected network. pixels: the largest image it will read.
    """

    def __init__(
        self, space: Space, in_channels: int, num_classes: int, pixels: int, device: torch.device | None = None
    ) -> None:
        super().__init__()
        self.space, self.in_channels, self.num_classes = space, in_channels, num_classes
        self.extents = survey(space, in_channels, num_classes, pixels)
        self.shared = nn.ModuleDict({key: largest_leaf(cut) for key, cut in self.extents.leaves.items()})
        initialise(self)
        self._open = Counter[str]()  # tensors that got gradients since `zero_grad`, and from how many networks
        self.to(device or torch.device("cpu")).to(memory_format=devices.MEMORY_FORMAT)

    # ------------------------------------------------------------------------------- one network of it

    def select(self, arch: Arch, pixels: int | None = None) -> nn.Sequential:
        """The module of `arch`, on the shared weights: what trains it, trains them. `forward` is its forward.

        pixels: of the images that it will read, where these are not as large as it is deployed for.
        Batch norms' statistics are those of the last networks that had the same block: recalibrate first.
        Raise `SpaceError` when the space has no such network, `ArchError` when its layers do not fit.
        """
        network = OrderedDict[str, Any]()
        layout: Layout = (self.in_channels,)
        for place, name, layer, shape in self._steps(arch, pixels or arch.resolution):
            block, layout = self._block(place, layer, shape, self.extents.arriving(place, layout))
            stage, dot, repeat = name.partition(".")
            if dot:
                network.setdefault(stage, OrderedDict())[repeat] = block
            else:
                network[name] = block
        parts = ((n, nn.Sequential(p) if isinstance(p, OrderedDict) else p) for n, p in network.items())
        selected = nn.Sequential(OrderedDict(parts)).train(self.training)
        self.__dict__["selected"] = selected  # not a submodule: it has no weights of its own
        return selected

    def extract(self, arch: Arch, pixels: int | None = None) -> nn.Sequential:
        """The ordinary network of `arch`, as `nas.build.build` makes it, with a copy of its weights."""
        weights = self.select(arch, pixels).state_dict()
        return copied(arch.at(pixels or arch.resolution), self.in_channels, self.num_classes, weights)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.__dict__["selected"](x)
        return logits

    def _steps(self, arch: Arch, pixels: int) -> list[tuple[str, str, Layer, Shape]]:
        """(position, name, layer, input shape) of the stem, each block and the head."""
        labels = self.space.params(arch)
        by_slot: dict[str, dict[str, Any]] = {}
        for path, label in labels.items():
            by_slot.setdefault(path.partition(".")[0], {})[path] = label
        steps = []
        for name, _, layer, shape in walk(arch.at(pixels), self.in_channels, self.num_classes):
            slot, _, repeat = name.partition(".")
            kinds = kinds_of(by_slot.get(slot, {}), self.space.holes)
            place = position(slot, kinds, int(repeat) if repeat else None)
            steps.append((place, name, with_eps(layer, arch.eps), shape))
        return steps

    def _block(self, place: str, layer: Layer, shape: Shape, layout: Layout) -> tuple[nn.Module, Layout]:
        """The module of one block at a position and the layout it leaves; the blocks used last are kept."""
        reading = read(layer, shape, layout)
        key = (place, layer, reading.slices)  # one module for maps of any size, where the slices are the same
        if key in self._blocks:
            self._blocks.move_to_end(key)
        else:
            self._blocks[key] = Block(self, place, layer, shape, reading)
            if len(self._blocks) > BLOCKS_KEPT:
                self._blocks.popitem(last=False)
        block = self._blocks[key]
        block.refresh()
        return block.module, reading.layout

    # ---------------------------------------------------------------------------------- gradients

    def gradient(self, name: str) -> Tensor:
        """Where the gradient of a shared tensor gathers: one tensor as long as the supernet is on its device."""
        if name not in self._gradients:
            self._gradients[name] = torch.zeros_like(self.get_parameter(name))
        return self._gradients[name]

    def add_gradient(self, name: str, pieces: Pieces, parameter: Tensor) -> None:
        """Add a network's gradient to its part of the shared tensor's; torch calls this as the gradient arises."""
        gradient, new = self.gradient(name), parameter.grad
        assert new is not None
        for here, there in pieces:
            gradient[there] += new[here]
        parameter.grad = None
        self._open[name] += 1

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients."""
        for name in self._open:
            self.gradient(name).zero_()
            self.get_parameter(name).grad = None
        self._open.clear()

    def open_gradients(self) -> list[nn.Parameter]:
        """Give the optimizer the mean gradients over the networks that were propagated back since `zero_grad`.

        The mean is over the networks that have the tensor; tensors that none has, have no gradient and stay.
        """
        opened = []
        for name, networks in self._open.items():
            parameter = self.get_parameter(name)
            parameter.grad = self.gradient(name)
            if networks > 1:
                parameter.grad /= networks
            opened.append(parameter)
        return opened

    def train(self, mode: bool = True) -> Self:
        """As ever, and the selected network too."""
        super().train(mode)
        if "selected" in self.__dict__:
            self.__dict__["selected"].train(mode)
        return self

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """To another device or layout: the views of the old tensors are forgotten."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._blocks = OrderedDict[tuple[str, Layer, tuple[Slice, ...]], Block]()
        self._gradients: dict[str, Tensor] = {}
        self._open.clear()
        return self


class Block:
    """One block's module on the shared tensors of a position."""

    def __init__(self, supernet: Supernet, place: str, layer: Layer, shape: Shape, reading: Reading) -> None:
        with torch.device("meta"):
            self.module = module(layer, shape)
        self.copies: list[tuple[nn.Parameter, Tensor, Pieces]] = []
        for cut in reading.slices:
            self._tie(supernet, f"{place}/{cut.key}", cut)
        devices.quicken(self.module, next(supernet.parameters()).device)

    @torch.no_grad()
    def refresh(self) -> None:
        """Bring the parameters that are no views up to date: those of segments that do not lie side by side."""
        for parameter, shared, pieces in self.copies:
            for here, there in pieces:
                parameter[here] = shared[there]

    def _tie(self, supernet: Supernet, key: str, cut: Slice) -> None:
        leaf, largest = self.module.get_submodule(cut.leaf), supernet.extents.leaves[key]
        device = next(supernet.parameters()).device
        for name, shared in supernet.shared[key].named_parameters():
            if getattr(leaf, name) is None:
                continue
            pieces = pieces_of(cut, largest, shared.ndim)
            if len(pieces) == 1:
                ((_, place),) = pieces
                tied = nn.Parameter(shared.detach()[place])
            else:
                tied = nn.Parameter(torch.empty(getattr(leaf, name).shape, device=device))
                self.copies.append((tied, shared.detach(), pieces))
            hook = partial(supernet.add_gradient, f"shared.{key}.{name}", pieces)
            tied.register_post_accumulate_grad_hook(hook)  # type: ignore[no-untyped-call]
            setattr(leaf, name, tied)
        if isinstance(leaf, nn.BatchNorm2d):
            leaf.running_mean = torch.zeros(leaf.num_features, device=device)
            leaf.running_var = torch.ones(leaf.num_features, device=device)
            leaf.num_batches_tracked = torch.zeros((), dtype=torch.long, device=device)


def copied(arch: Arch, in_channels: int, num_classes: int, weights: dict[str, Tensor]) -> nn.Sequential:
    """The network of `arch` with a copy of these weights, without first drawing others."""
    with torch.device("meta"):
        network = module(arch.layer(in_channels, num_classes), Shape(in_channels, arch.resolution, arch.resolution))
    own = {name: value.detach().clone(memory_format=torch.contiguous_format) for name, value in weights.items()}
    network.load_state_dict(own, assign=True)
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    assert isinstance(network, nn.Sequential)
    return network
