"""Zero-cost proxies, one a file: what a network says of itself before it is trained.

Each module has `ABOUT`, one line, and `read(network, images, labels) -> float`; higher is better in all of them.
`read` gets a copy that it may spoil: in training mode (batch norms by the batch), dropout off, nothing in place.
FLOPs and params are no proxies but the baselines that a proxy must beat: see `benchmarks/proxies.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from nas.errors import UserError
from search_spaces.part import one_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from nas.batches import Images
    from search_spaces.arch import Arch

    Read = Callable[[nn.Module, Tensor, Tensor], float]

BATCH = 64  # images that a network is asked about
UNDEFINED = -math.inf
"""The score of a network that has none: the numbers overflow, two images cannot be told apart, memory runs out."""


@dataclass(frozen=True)
class Proxy:
    """A proxy by name. Calling it leaves the network, the images and torch's random numbers as they were."""

    name: str

    @cached_property
    def _read(self) -> Read:
        read: Read = import_module(f"{__name__}.{self.name}").read
        return read

    def __call__(self, network: nn.Module, images: Tensor, labels: Tensor) -> float:
        """The score of a fresh, initialised network: a number, or `UNDEFINED`.

        Args:
            images: (N, C, H, W), N at least 2, normalised, on the network's device.
            labels: (N,), classes of the images.
        """
        from torch.linalg import LinAlgError  # type: ignore[attr-defined]  # missing in torch's stubs

        from nas import device as devices

        try:
            score = self._read(_prepared(network), images, labels)
        except LinAlgError:
            return UNDEFINED
        except (RuntimeError, MemoryError) as error:
            if not devices.out_of_memory(error):
                raise
            devices.release(images.device)
            return UNDEFINED
        return score if math.isfinite(score) else UNDEFINED


def names() -> list[str]:
    """The proxies to choose from."""
    return sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))


def find(name: str) -> Proxy:
    """The proxy of a name; raise `UserError` that lists the known."""
    if name not in names():
        raise UserError(f"a proxy is {one_of(name, names())}, but got {name!r}")
    return Proxy(name)


def batch(images: Images, pixels: int, size: int = BATCH, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Training images (N, C, px, px), normalised, and their labels (N,): the same for all that are compared."""
    import torch

    inputs, labels = images.split("train", pixels)
    chosen = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))[:size].to(images.device)
    return images.normalised(inputs[chosen]), labels[chosen]


def score(arch: Arch, wanted: Sequence[str], images: Images, pixels: int, seed: int = 0) -> dict[str, float]:
    """Scores by name of an architecture as it would be trained at `pixels`, on one batch of training images.

    `seed` is of the weights and of the batch. An architecture that cannot be built at that size is `UNDEFINED`.
    """
    import torch

    from nas import device as devices
    from nas.build import build
    from search_spaces.errors import ArchError

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        try:
            network = build(arch.at(pixels), images.channels, len(images.data.classes))
        except ArchError:
            return dict.fromkeys(wanted, UNDEFINED)
    devices.place(network, images.device)
    inputs, labels = batch(images, pixels, seed=seed)
    return {name: find(name)(network, inputs, labels) for name in wanted}


def _prepared(network: nn.Module) -> nn.Module:
    """A copy to read from: training mode without chance, and no layer that overwrites what another may want."""
    from torch import nn

    copy = deepcopy(network).train()
    for part in copy.modules():
        if isinstance(part, nn.Dropout):
            part.eval()
        if hasattr(part, "inplace"):
            part.inplace = False  # type: ignore[assignment]  # mypy takes it for a submodule
    return copy
