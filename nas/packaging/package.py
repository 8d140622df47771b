"""What an exporter is given: a network, its weights, how it will be deployed and where it comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from nas.build import build, module
from nas.errors import UserError
from search_spaces.arch import Arch
from search_spaces.cost import Cost, cost
from search_spaces.folding import folded_cost
from search_spaces.layers import Shape

if TYPE_CHECKING:
    from nas.batches import Images


class ExportError(UserError):
    """A network that cannot be exported as asked, or an exported one that is not the same network."""


@dataclass(frozen=True)
class Accuracy:
    """What was measured, on what, and after which training: an accuracy says nothing without these."""

    value: float
    split: str
    """`test` or `validation`."""
    data: str
    resolution: int | None = None
    epochs: float | None = None
    samples: int | None = None
    """Images seen in training, repeats counted."""

    def __str__(self) -> str:
        said = f"{100 * self.value:.2f} % of the {self.split} images of {self.data}"
        ran = []
        if self.resolution:
            ran.append(f"at {self.resolution} px")
        if self.epochs:
            ran.append(f"for {self.epochs:g} epoch{'s' * (self.epochs != 1)}")
        if self.samples:
            ran.append(f"on {self.samples:,} images, repeats counted")
        return f"{said}, trained {' '.join(ran)}" if ran else said


@dataclass(frozen=True, eq=False)
class Package:
    """A network to export. `in_channels` and `num_classes` are those of the weights, costs are as deployed."""

    arch: Arch
    in_channels: int
    num_classes: int
    weights: Mapping[str, Tensor] = field(repr=False)
    """State dict, by the names of `nas.build`."""
    deployed_channels: int | None = None
    deployed_classes: int | None = None
    accuracy: Accuracy | None = None
    """None: never measured."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Plain values, in the order in which they are told: study, trial, space, budget, …"""
    record: Mapping[str, Any] = field(default_factory=dict)
    """More plain values, for the spec: classes, mean and std of the training images, recipe, versions."""
    images: Callable[[], Images] | None = field(default=None, repr=False)
    """Loads the study's own images, for formats that must see some; None: there is no study."""

    def __post_init__(self) -> None:
        """Raise `ExportError` unless the weights are this network's, to the last name and shape."""
        expected = state_sizes(*self.as_trained)
        for name in sorted(expected.keys() | self.weights.keys()):
            wanted, got = expected.get(name), self.weights[name].shape if name in self.weights else None
            if wanted != got:
                raise ExportError(
                    f"weights must be those of the network for {self.in_channels} channels and {self.num_classes:,} "
                    f"classes, but {name} is {_size(got)} in the weights and {_size(wanted)} in the network"
                )

    @property
    def as_trained(self) -> tuple[Arch, int, int]:
        """Architecture, input channels and classes of the weights."""
        return self.arch, self.in_channels, self.num_classes

    @property
    def as_deployed(self) -> tuple[Arch, int, int]:
        """Architecture, input channels and classes that the costs are counted for."""
        return self.arch, self.deployed_channels or self.in_channels, self.deployed_classes or self.num_classes

    @cached_property
    def cost(self) -> Cost:
        """What the network costs as deployed."""
        return cost(*self.as_deployed)

    @cached_property
    def folded_cost(self) -> Cost:
        """What it costs as deployed when batch norms are folded into convolutions."""
        return folded_cost(*self.as_deployed)

    @property
    def trained_side(self) -> int:
        """Pixels that the weights were trained at, where that is known; else those of deployment."""
        return (self.accuracy.resolution if self.accuracy else None) or self.arch.resolution

    @property
    def accuracy_text(self) -> str:
        """What is known of its accuracy, in words."""
        if self.accuracy is not None:
            return str(self.accuracy)
        if "weights" in self.provenance:
            return "not measured here: the weights are another implementation's"
        return "none: the weights are a fresh initialisation, never trained"

    def at(self, side: int) -> Package:
        """The same weights for images of another size."""
        return replace(self, arch=self.arch.at(side))

    def module(self) -> nn.Sequential:
        """The search's own module with these weights, in eval mode."""
        network = build(*self.as_trained)
        network.load_state_dict(dict(self.weights))
        return network.eval()

    def folded(self) -> nn.Module:
        """The same with its batch norms in the convolutions before them: how it is deployed."""
        from nas.fold import fold

        arch, channels, classes = self.as_trained
        shape = Shape(channels, arch.resolution, arch.resolution)
        return fold(self.module(), arch.layer(channels, classes), shape)

    def spec(self, name: str) -> dict[str, Any]:
        """The package without its weights, as plain values."""
        _, channels, classes = self.as_deployed
        return {
            "name": name,
            "arch": str(self.arch),
            "resolution": self.arch.resolution,
            "in_channels": self.in_channels,
            "num_classes": self.num_classes,
            "deployed": {"in_channels": channels, "num_classes": classes},
            "cost": asdict(self.cost) | {"size_bytes": self.cost.size_bytes},
            "folded_cost": asdict(self.folded_cost) | {"size_bytes": self.folded_cost.size_bytes},
            "accuracy": None if self.accuracy is None else asdict(self.accuracy),
            "provenance": dict(self.provenance),
            **self.record,
        }


def state_sizes(arch: Arch, in_channels: int, num_classes: int) -> dict[str, torch.Size]:
    """Names and shapes of the network's state dict, without the numbers."""
    shape = Shape(in_channels, arch.resolution, arch.resolution)
    with torch.device("meta"):
        network = module(arch.layer(in_channels, num_classes), shape)
    return {name: value.shape for name, value in network.state_dict().items()}


def _size(shape: torch.Size | None) -> str:
    return "missing" if shape is None else "×".join(map(str, shape)) or "a single number"
