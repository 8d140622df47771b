"""Known networks trained as a search's candidates are, in a study of their own."""

from __future__ import annotations

from typing import Any

from nas.listed import Item
from nas.listed import train as train_listed
from nas.options import ListedOptions
from nas.store import Stored
from search_spaces.zoo.network import Network

REFERENCE_PX = 224


def train(options: ListedOptions, networks: list[Network]) -> Stored:
    """Train what the study lacks of `networks`; return the study."""
    items = [Item(n.arch, 0, {"reference": n.name, "published_top1": n.published.top1}) for n in networks]
    return train_listed(options, items, "zoo", "zoo", REFERENCE_PX)


def trained(stored: Stored) -> list[dict[str, Any]]:
    """What became of each network, by ascending FLOPs."""
    return [
        {
            "name": c.attrs.get("reference", str(c.arch)),
            "accuracy": c.accuracy,
            "reason": c.reason,
            "flops": c.cost.flops,
            "macs": c.cost.macs,
            "params": c.cost.params,
            "seconds": c.seconds,
            "trial": c.number,
        }
        for c in sorted(stored.candidates(), key=lambda c: c.cost.flops)
    ]
