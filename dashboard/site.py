"""What every page's callbacks are given: the studies to read, and the folder that exports go to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_urlsafe

from dashboard.studies import Row, Studies, Study

Picked = Mapping[str, object]
"""A trial as pages name it: `{"study": key, "trial": number}`."""


@dataclass
class Site:
    """The studies, and what was exported from them."""

    studies: Studies
    exports: Path
    files: dict[str, Path] = field(default_factory=dict)
    """What may be downloaded, by an unguessable name: no path of a browser's reaches the file system."""

    def chosen(self, version: Mapping[str, str] | None) -> list[Study]:
        """The studies that are shown; `version` is the page's store of them, by key."""
        return self.studies.get(list(version or {}))

    def picked(self, picked: Picked | None) -> tuple[Study, int] | None:
        """The study and the trial that a page names, or None when it names nothing there is."""
        key, number = (picked or {}).get("study"), (picked or {}).get("trial")
        if not isinstance(key, str) or not isinstance(number, int):
            return None
        found = self.studies.get([key])
        return (found[0], number) if found else None

    def row(self, picked: Picked | None) -> Row | None:
        """The trial that a page names."""
        found = self.picked(picked)
        rows = (*found[0].rows, *found[0].open) if found else ()
        return next((r for r in rows if found and r.number == found[1]), None)

    def offer(self, path: Path) -> str:
        """The address of a file that may be downloaded from now on."""
        name = token_urlsafe(16)
        self.files[name] = path
        return f"/export/{name}"


def slug(text: str) -> str:
    """A name that is safe in a path."""
    return re.sub(r"[^\w-]+", "-", text).strip("-") or "study"
