"""Published weights: another library's state dict under our names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nas.errors import UserError
from search_spaces import zoo
from search_spaces.zoo.network import Network

if TYPE_CHECKING:
    from torch import Tensor, nn


def load(name: str, state_dict: Mapping[str, Tensor]) -> nn.Sequential:
    """A network of the zoo with another library's weights, in eval mode.

    state_dict: of the implementation that the zoo's file names (torchvision's `mobilenet_v2()`, say), in any
    order; its classifier may have any number of classes and its stem any number of input channels. Raise
    `UserError` when a weight is missing, left over or of another shape.
    """
    from nas.build import build

    network = zoo.find(name)
    weights, in_channels, num_classes = translated(network, state_dict)
    built = build(network.arch, in_channels, num_classes)
    built.load_state_dict(weights)
    return built.eval()


def translated(network: Network, state_dict: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], int, int]:
    """The weights under our names, and the input channels and classes that they were made for."""
    from nas.packaging.package import state_sizes

    judge = network.judge
    if judge is None:
        raise UserError(
            f"published weights need an implementation they come from, but {network.name} has none in the zoo"
        )
    names = {ours: network.theirs(ours) for ours in state_sizes(network.arch, 3, 1000)}
    whose = f"those of {judge.library}'s {judge.model}"
    for ours, theirs in names.items():
        if theirs not in state_dict:
            raise UserError(f"weights must be {whose}, but {theirs} (our {ours}) is missing")
    left = sorted(key for key in state_dict.keys() - set(names.values()) if not key.startswith("aux"))
    if left:
        raise UserError(f"weights must be {whose}, but {left[0]} is not among its names")
    first, *_, last = (state_dict[theirs] for theirs in names.values())
    in_channels, num_classes = first.shape[1], last.shape[0]
    sizes = state_sizes(network.arch, in_channels, num_classes)
    for ours, theirs in names.items():
        if state_dict[theirs].shape != sizes[ours]:
            got, wanted = tuple(state_dict[theirs].shape), tuple(sizes[ours])
            raise UserError(f"weights must be {whose}, but {theirs} has shape {got} where {wanted} is needed")
    return {ours: state_dict[theirs] for ours, theirs in names.items()}, in_channels, num_classes
