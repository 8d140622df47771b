"""Formats to take a network home in, one a file: each has `ABOUT`, `SUFFIX` and `export(package, out, name)`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Protocol, cast

from nas.errors import UserError
from search_spaces.part import one_of

if TYPE_CHECKING:
    from nas.packaging.package import Package


class Exporter(Protocol):
    """A module of this package. ABOUT: one line. SUFFIX: of the file that it writes first of all."""

    ABOUT: str
    SUFFIX: str

    def export(self, package: Package, out: Path, name: str = "network") -> Path:
        """Write the network into the folder `out`, made if need be, and return that folder."""


def names() -> list[str]:
    """The formats to choose from."""
    return sorted(module.name for module in iter_modules(__path__))


def find(name: str) -> Exporter:
    """The exporter of a name; raise `UserError` that lists the known."""
    if name not in names():
        raise UserError(f"a format is {one_of(name, names())}, but got {name!r}")
    return cast(Exporter, import_module(f"{__name__}.{name}"))
