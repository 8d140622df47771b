"""The papers' networks as architectures, one family a file: each module holds `NETWORKS`, found by itself."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from pkgutil import iter_modules

from search_spaces.errors import SpaceError
from search_spaces.part import one_of
from search_spaces.zoo.network import Network

_NOT_FAMILIES = ("network", "tables")


def families() -> list[str]:
    """The families, which are the files of this package."""
    return sorted(module.name for module in iter_modules(__path__) if module.name not in _NOT_FAMILIES)


@lru_cache(maxsize=1)
def _networks() -> dict[str, Network]:
    found: dict[str, Network] = {}
    for family in families():
        for network in import_module(f"{__name__}.{family}").NETWORKS:
            if network.name in found:
                raise SpaceError(f"names in the zoo must differ, but {network.name} is there twice, again in {family}")
            found[network.name] = network
    return found


def names() -> list[str]:
    """Every network's name, family by family in the order of their tables."""
    return list(_networks())


def find(name: str) -> Network:
    """A network by its name; raise `SpaceError` that lists those there are."""
    networks = _networks()
    if name not in networks:
        raise SpaceError(f"a network of the zoo is {one_of(name, list(networks))}, but got {name!r}")
    return networks[name]
