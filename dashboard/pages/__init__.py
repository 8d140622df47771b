"""Pages, one a file, found by themselves. A page holds

PATH, LABEL, ORDER   its address, its name in the menu and its place there
layout()             what stands on it before any data are there
register(app, site)  its callbacks
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Protocol, cast

from dash import Dash

from dashboard.site import Site


class Page(Protocol):
    """A module of this package."""

    PATH: str
    LABEL: str
    ORDER: int

    def layout(self) -> Any: ...

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
