"""Figures of the engine, one a file: `data(…)` → plain numbers, `plot(data)` → plotly figure.

What they share is here: one look, and `write` to take a figure home as HTML or PNG. plotly and
kaleido are imported when a figure is drawn, so that the commands answer `--help` at once.
"""

from __future__ import annotations

import os
from html import escape
from pathlib import Path
from typing import Any

from nas.errors import UserError
from nas.files import written_aside

INK, QUIET, FAINT = "#1f2933", "#66717e", "#e6e9ed"
BLUE, GREY, RED = "#3566a8", "#c3cad3", "#b5443b"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
PNG = {"format": "png", "width": 960, "height": 540, "scale": 2}
# plotly.js would offer a button that sends the figure to its maker's cloud
CONFIG = {"showSendToCloud": False, "displaylogo": False, "modeBarButtons": [["toImage", "resetScale2d"]]}
RENDER_SECONDS = 60
CHROMIUM = "a PNG needs Chromium or Chrome: install it (Debian: apt-get install chromium) or point BROWSER_PATH at it"


def template() -> Any:
    """The look of every figure: white, one grid, no frames, title at the left."""
    import plotly.graph_objects as go

    axis = {
        "showline": False,
        "zeroline": False,
        "gridcolor": FAINT,
        "tickfont": {"color": QUIET},
        "title": {"font": {"size": 13, "color": QUIET}, "standoff": 12},
        "automargin": True,
        "separatethousands": True,
        "tickcolor": GREY,
        "nticks": 10,
    }
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "size": 13, "color": INK},
            "title": {
                "x": 0,
                "xref": "paper",
                "xanchor": "left",
                "font": {"size": 18},
                "subtitle": {"font": {"color": QUIET}},
            },
            "paper_bgcolor": "white",
            "plot_bgcolor": "white",
            "colorway": [BLUE, RED, "#4f8f5b", "#8a63a6", "#c08a2e", GREY],
            "margin": {"l": 64, "r": 32, "t": 112, "b": 64},
            "hoverlabel": {"bgcolor": "white", "bordercolor": GREY, "font": {"family": FONT, "color": INK}},
            "xaxis": axis,
            "yaxis": axis,
        }
    )


def check_path(path: Path) -> Path:
    """`path` when a figure can be written there; raise `UserError` before any work is done."""
    if path.suffix.lower() not in WRITERS:
        raise UserError(f"a figure's file must end in {' or '.join(WRITERS)}, but got {path}")
    # os.path answers where Path raises: a name that is too long is no folder either
    if os.path.isdir(path) or not os.path.isdir(path.absolute().parent):
        raise UserError(f"a figure's file must lie in a folder that exists, but got {path}")
    return path


def write(figure: Any, path: Path) -> None:
    """Write a plotly figure as `.html` that works offline or as `.png`; raise `UserError` where that cannot be."""
    content = WRITERS[check_path(path).suffix.lower()](figure)
    try:
        with written_aside(path) as aside:
            aside.write_bytes(content)
    except OSError as error:
        raise UserError(f"a figure's file must be writable, but {path} is not: {error.strerror}") from None


def _html(figure: Any) -> bytes:
    """A whole page with plotly.js inside, which asks nothing of the network."""
    title = escape(figure.layout.title.text or "figure")
    body = figure.to_html(
        full_html=False,
        include_plotlyjs=True,
        include_mathjax=False,
        default_height="96vh",
        config=CONFIG,
    )
    page = (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f"</head>\n<body>\n{body}\n</body>\n</html>\n"
    )
    return page.encode()


def _png(figure: Any) -> bytes:
    """Kaleido draws in the headless Chromium that `BROWSER_PATH` names or that lies on the PATH."""
    try:
        import kaleido
        from kaleido.errors import ChromeNotFoundError
    except ImportError:
        raise UserError("a PNG needs kaleido: pip install 'nas-explorer[png]', or write to .html") from None
    try:
        # by default kaleido's page loads MathJax from the network, which no figure here uses
        drawn = kaleido.calc_fig_sync(figure, opts=PNG, kopts={"mathjax": False, "timeout": RENDER_SECONDS})
    except ChromeNotFoundError:
        raise UserError(f"{CHROMIUM}, or write to .html") from None
    except Exception as error:  # a browser fails in many ways (kaleido, choreographer, asyncio), all the user's to mend
        raise UserError(
            f"{CHROMIUM}, or write to .html, but drawing ended in {type(error).__name__}: {error}"
        ) from error
    assert isinstance(drawn, bytes)
    return drawn


WRITERS = {".html": _html, ".png": _png}
