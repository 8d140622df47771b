"""Published weights: another library's state dict under our names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from nas.errors import UserError
from search_spaces import zoo
from search_spaces.zoo.network import Network

if TYPE_CHECKING:
    from torch import Tensor, nn

_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.(?=[12]\.)")
"""torchvision's published checkpoints have `norm.1` where its model has `norm1`; its own loader renames them, too."""


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
    state_dict = _as_today(state_dict, names.values())
    whose = f"those of {judge.library}'s {judge.model}"
    for ours, theirs in names.items():
        if theirs not in state_dict:
            raise UserError(f"weights must be {whose}, but {theirs} (our {ours}) is missing")
    left = sorted(key for key in state_dict.keys() - set(names.values()) if not key.startswith("aux"))
    if left:
        raise UserError(f"weights must be {whose}, but {left[0]} is not among its names")
    first, *_, last = (state_dict[theirs] for theirs in names.values())
    # where these have no such axis, or nothing along it, the shapes below tell
    in_channels = first.shape[1] if first.ndim == 4 and first.numel() else 3
    num_classes = last.shape[0] if last.ndim and last.numel() else 1000
    sizes = state_sizes(network.arch, in_channels, num_classes)
    for ours, theirs in names.items():
        if state_dict[theirs].shape != sizes[ours]:
            got, wanted = tuple(state_dict[theirs].shape), tuple(sizes[ours])
            raise UserError(f"weights must be {whose}, but {theirs} has shape {got} where {wanted} is needed")
    return {ours: state_dict[theirs] for ours, theirs in names.items()}, in_channels, num_classes


def _as_today(state_dict: Mapping[str, Tensor], names: Iterable[str]) -> dict[str, Tensor]:
    """The state dict as torch would write it now: DenseNets' old names renamed, batch norms' missing counts as 0."""
    import torch

    counts = {name: torch.zeros((), dtype=torch.long) for name in names if name.endswith(".num_batches_tracked")}
    return counts | {_OLD_DENSENET.sub(r"\1", name): value for name, value in state_dict.items()}
