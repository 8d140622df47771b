"""Pages, one a file, found by themselves. A page holds

PATH, LABEL, ORDER   its address, its name in the menu and its place there
SCRIPTS              what its figures and tables need in the browser (`dashboard.loading`)
layout(studies)      what stands on it at first; the chosen studies are for its menus alone
register(app, site)  its callbacks
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Protocol, cast

from dash import Dash

from dashboard.site import Site
from dashboard.studies import Study


class Page(Protocol):
    """A module of this package."""

    PATH: str
    LABEL: str
    ORDER: int
    SCRIPTS: tuple[str, ...]

    def layout(self, studies: Sequence[Study]) -> Any: ...

    def register(self, app: Dash, site: Site) -> None: ...


@lru_cache(maxsize=1)
def pages() -> tuple[Page, ...]:
    """Every page, in the order of the menu."""
    found = [cast(Page, import_module(f"{__name__}.{module.name}")) for module in iter_modules(__path__)]
    paths = [page.PATH for page in found]
    assert len(set(paths)) == len(paths), f"pages need addresses of their own, but got {sorted(paths)}"
    return tuple(sorted(found, key=lambda page: (page.ORDER, page.LABEL)))


def at(path: str | None) -> Page | None:
    """The page of an address, or None."""
    wanted = "/" + (path or "").strip("/")
    return next((page for page in pages() if wanted == page.PATH), None)
