"""Networks that can be taken home: of the literature, of a study, or freshly initialised."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nas import state_dicts
from nas.build import build
from nas.packaging.package import ExportError, Package
from nas.session import images_of
from nas.weights import translated
from search_spaces.arch import Arch
from search_spaces.cost import cost
from search_spaces.zoo.network import Network

if TYPE_CHECKING:
    from nas.candidates import Candidate
    from nas.store import Stored

SEED = 0
"""Of the initialisation of networks without trained weights."""
MOST = 500_000_000
"""Numbers that a network may have to hold: 2 GB in fp32, of which a proof makes several copies."""


def published(network: Network, weights: Mapping[str, Tensor], source: str) -> Package:
    """A network of the zoo with the weights of its other implementation; raise `UserError` when they are not its."""
    ours, in_channels, num_classes = translated(network, weights)
    assert network.judge is not None
    origin = {
        "network": network.name,
        "paper": network.paper,
        "weights": f"{network.judge.library}'s form, from {source}",
    }
    return Package(network.arch, in_channels, num_classes, ours, provenance=origin)


def fresh(arch: Arch, in_channels: int, num_classes: int, **known: Any) -> Package:
    """A network with a seeded initialisation; raise `ExportError` when it is too large."""
    _check_size(arch, in_channels, num_classes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        weights = build(arch, in_channels, num_classes).state_dict()
    return Package(arch, in_channels, num_classes, weights, **known)


def trained(stored: Stored, candidate: Candidate, deployed_channels: int, deployed_classes: int) -> Package:
    """A study's network with its best weights; raise `UserError` when it has none, or is too large as deployed."""
    _check_size(candidate.arch, deployed_channels, deployed_classes)
    weights, accuracy = state_dicts.best(stored, candidate)
    return Package(
        arch=candidate.arch,
        in_channels=stored.meta["in_channels"],
        num_classes=stored.meta["data_classes"],
        weights=weights,
        deployed_channels=deployed_channels,
        deployed_classes=deployed_classes,
        accuracy=accuracy,
        provenance=_provenance(stored, candidate),
        record=_record(stored, candidate),
        images=lambda: images_of(stored, "cpu", None),
    )


def untrained(stored: Stored, candidate: Candidate, in_channels: int, num_classes: int) -> Package:
    """A study's network with a seeded initialisation instead of its weights."""
    known = {"provenance": _provenance(stored, candidate), "record": _record(stored, candidate)}
    return fresh(candidate.arch, in_channels, num_classes, **known)


def _check_size(arch: Arch, in_channels: int, num_classes: int) -> None:
    found = cost(arch, in_channels, num_classes)
    if max(found.params, found.peak_activations) > MOST:
        raise ExportError(
            f"a network to export must have at most {MOST:,} parameters, and activations of an image at once, but for "
            f"{in_channels:,} channels and {num_classes:,} classes it has {found.params:,} and "
            f"{found.peak_activations:,}"
        )


def _provenance(stored: Stored, candidate: Candidate) -> dict[str, Any]:
    meta = stored.meta
    told = {name: meta.get(name) for name in ("space", "budget", "sampler", "seed")}
    return {"study": stored.name, "trial": candidate.number, **told}


def _record(stored: Stored, candidate: Candidate) -> dict[str, Any]:
    meta = stored.meta
    kept = ("data", "data_fingerprint", "licence", "classes", "mean", "std", "versions")
    trained = (candidate.trained or {}).get("recipe")
    record = {name: meta[name] for name in kept if name in meta}
    return record | {"recipe": candidate.recipe} | ({"final_recipe": trained} if trained else {})
