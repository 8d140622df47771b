"""The papers' networks as architectures, one family a file: each module holds `NETWORKS`, found by itself."""

from __future__ import annotations

from difflib import get_close_matches
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


def family(name: str) -> list[Network]:
    """The networks of a family; raise `SpaceError` that lists the families."""
    if name not in families():
        raise SpaceError(f"a family of the zoo is {one_of(name, families())}, but got {name!r}")
    networks: list[Network] = import_module(f"{__name__}.{name}").NETWORKS
    return networks


@lru_cache(maxsize=1)
def _networks() -> dict[str, Network]:
    found: dict[str, Network] = {}
    for name in families():
        for network in family(name):
            if network.name in found:
                raise SpaceError(f"names in the zoo must differ, but {network.name} is there twice, again in {name}")
            found[network.name] = network
    return found


def names() -> list[str]:
    """Every network's name, family by family in the order of their tables."""
    return list(_networks())


def find(name: str) -> Network:
    """A network by its name; raise `SpaceError` with those that are near."""
    networks = _networks()
    if name not in networks:
        close = get_close_matches(name, networks, n=3) or list(networks)[:3]
        raise SpaceError(
            f"a network of the zoo is one that `python -m nas.zoo` lists ({', '.join(close)}, …), but got {name!r}"
        )
    return networks[name]
