"""What a browser loads, and when: little for the first paint, the rest with the page that needs it.

Dash puts every script of every library into its first answer, 1.1 MB of plotly.js and 0.3 MB of a grid among them.
Here a page names what it needs (`SCRIPTS`), and `assets/dashboard.js` loads that before the page is put in place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import plotly
from dash import Dash
from dash.fingerprint import build_fingerprint

VENDORED = Path(__file__).parent / "vendor" / "plotly-basic-4.1.1.min.js.br"
"""plotly.js with scatter and bar traces alone; compressed as it lies there."""
BASIC, PLOTLY, GRID = "basic", "plotly", "grid"
"""Scripts that a page may name: plotly.js of scatter and bar traces, plotly.js of all traces, the grid."""
LATER = {GRID: "/dash_ag_grid/"}
"""Scripts of Dash's first answer that come with a page instead: a part of their address."""
NEVER = ("/deps/polyfill@", "/dash_table/")
"""For browsers of before 2018; a component that no page has."""
THEME = """<script>
    document.documentElement.dataset.theme = (() => { try { return localStorage.getItem("theme"); } catch {} })()
        || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
</script>"""
"""Before anything is painted, so that nothing is painted in the other theme first."""
ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http:%2F%2Fwww.w3.org/2000/svg' viewBox='0 0 18 18'%3E%3Cpath fill='%234a82d4' "
    "d='M3 18v-7h3v7zM8 18V7h3v11z'/%3E%3Cpath fill='%23d1603d' d='M13 18V2h3v16z'/%3E%3C/svg%3E"
)


def vendored_address() -> str:
    """Where a browser finds the vendored script."""
    return f"/vendor/{VENDORED.name.removesuffix('.br')}"


def whole_plotly() -> str:
    """Where Dash serves all of plotly.js, by an address that changes with its release: browsers keep it for a year."""
    inside = "package_data/plotly.min.js"
    changed = int((Path(plotly.__file__).parent / inside).stat().st_mtime)
    return f"/_dash-component-suites/plotly/{build_fingerprint(inside, plotly.__version__, changed)}"  # type: ignore[no-untyped-call]


class LeanDash(Dash):
    """Dash whose first answer holds what every page needs; `needed`: by path, the names of the scripts of a page."""

    needed: Mapping[str, Sequence[str]] = MappingProxyType({})

    def interpolate_index(self, **parts: str) -> str:  # type: ignore[override]
        lines = parts["scripts"].splitlines()
        scripts = {BASIC: vendored_address(), PLOTLY: whole_plotly()}
        for name, mark in LATER.items():
            tag = next(line for line in lines if mark in line)
            scripts[name] = tag.partition('src="')[2].partition('"')[0]
        left_out = (*LATER.values(), *NEVER)
        kept = [line for line in lines if not (line.startswith("<script src=") and any(m in line for m in left_out))]
        told = json.dumps({"scripts": scripts, "pages": dict(self.needed)}).replace("<", "\\u003c")
        loading = f'<script id="loading" type="application/json">{told}</script>'
        icon = f'<link rel="icon" href="{ICON}">'
        shown = parts | {"scripts": "\n".join([loading, *kept]), "favicon": icon}
        page: str = super().interpolate_index(**shown)  # type: ignore[no-untyped-call]
        return page.replace("<html>", '<html lang="en">').replace("</head>", f"{THEME}</head>")
