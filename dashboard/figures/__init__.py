"""Figures of the dashboard, one a file: `data(…)` → plain numbers, `plot(data)` → plotly figure.

Colours here are legible on light and dark; text and grids follow the page's theme through its style sheet.
"""

from __future__ import annotations

from typing import Any

from nas.figures import CONFIG as ENGINE
from nas.figures import FONT

BLUE, RED, GREEN, VIOLET, OCHRE, TEAL = "#4a82d4", "#d1603d", "#3f9a5f", "#8f6bc2", "#b98a1f", "#2a9aa5"
PALETTE = (BLUE, RED, GREEN, VIOLET, OCHRE, TEAL)
GREY, FAINT, TEXT = "#8d98a5", "rgba(128,140,155,0.22)", "#66717e"
DOTS = "rgba(141,152,165,0.55)"
RING = "#7c8895"
"""A grey that small marks are seen by: 3:1 against the cards of both themes."""
CLEAR = "rgba(0,0,0,0)"
CONFIG: Any = {
    **ENGINE,
    "modeBarButtons": [["zoom2d", "pan2d", "select2d", "lasso2d", "resetScale2d", "toImage"]],
    "toImageButtonOptions": {"format": "png", "scale": 2, "filename": "figure"},
    "responsive": True,
}
PLAIN: Any = {**ENGINE, "displayModeBar": False, "responsive": True}


def template() -> Any:
    """The look of every figure on a page: no frame, one grid, the page's own colours behind."""
    import plotly.graph_objects as go

    axis = {
        "showline": False, "zeroline": False, "gridcolor": FAINT, "tickfont": {"color": TEXT, "size": 12},
        "title": {"font": {"size": 12, "color": TEXT}, "standoff": 10}, "automargin": True, "separatethousands": True,
        "minorloglabels": "complete", "nticks": 8,
    }  # fmt: skip
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "size": 13, "color": TEXT},
            "paper_bgcolor": CLEAR, "plot_bgcolor": CLEAR, "colorway": list(PALETTE),
            "margin": {"l": 8, "r": 12, "t": 36, "b": 8}, "xaxis": axis, "yaxis": axis,
            "legend": {"orientation": "h", "x": 0, "y": 1.01, "yanchor": "bottom", "bgcolor": CLEAR, "itemwidth": 30},
            "hoverlabel": {"font": {"family": FONT, "size": 13}, "align": "left"}, "hovermode": "closest",
            "dragmode": "zoom",
        }
    )  # fmt: skip


def figure(*traces: Any, **layout: Any) -> Any:
    """A figure in this look; `uirevision` keeps zoom and selection while data arrive."""
    import plotly.graph_objects as go

    return go.Figure(list(traces), {"template": template(), "uirevision": "kept", **layout})
