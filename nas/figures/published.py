"""Published accuracy on ImageNet against multiply-adds: families of the zoo before all others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nas.figures import GREY, INK, template
from nas.pareto import front

if TYPE_CHECKING:
    import pandas as pd

COLOURS = {  # families that the zoo holds, in the order of their papers
    "SqueezeNet": "#8d6e63",
    "Inception": "#c08a2e",
    "ResNet": "#66717e",
    "ResNeXt": "#8a63a6",
    "DenseNet": "#b5443b",
    "MobileNetV1": "#7fb3d9",
    "MobileNetV2": "#3566a8",
    "MobileNetV3": "#1f3f73",
    "ShuffleNet": "#d98cb3",
    "MnasNet": "#2a9d8f",
    "EfficientNet": "#4f8f5b",
}


@dataclass(frozen=True)
class Family:
    """Names, multiply-adds in millions and top-1 in percent of a family's networks, by ascending cost."""

    name: str
    names: tuple[str, ...]
    macs_millions: tuple[float, ...]
    top1: tuple[float, ...]


@dataclass(frozen=True)
class Published:
    """Families, those of the zoo first; and the front of all."""

    families: tuple[Family, ...]
    front: Family


def data(table: pd.DataFrame) -> Published:
    """Group the table of `nas.published`."""
    ordered = table.sort_values("macs")
    known = [name for name in COLOURS if (ordered.family == name).any()]
    families = [_family(name, ordered[ordered.family == name]) for name in known]
    rest = _family("other families", ordered[~ordered.family.isin(known)])
    best = front(list(zip(ordered.top1, ordered.macs, strict=True)))
    return Published((*families, rest), _family("best of all", ordered.iloc[best]))


def _family(name: str, rows: pd.DataFrame) -> Family:
    names = (f"{row.name_}<br>{row.source}" for row in rows.rename(columns={"name": "name_"}).itertuples())
    return Family(name, tuple(names), tuple(rows.macs / 1e6), tuple(rows.top1))


def plot(found: Published) -> Any:
    """A colour a family of the zoo, grey for the rest, and the stair of the best."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for family in reversed(found.families):
        colour = COLOURS.get(family.name, GREY)
        figure.add_trace(_dots(family, colour, 9 if family.name in COLOURS else 6))
    stair = _dots(found.front, INK, 0)
    stair.update(mode="lines", line={"shape": "hv", "width": 1.5, "color": INK, "dash": "dot"}, hoverinfo="skip")
    figure.add_trace(stair)
    count = sum(len(family.names) for family in found.families)
    figure.update_layout(
        template=template(),
        title={
            "text": "Published networks",
            "subtitle": {"text": f"{count} results on ImageNet, each as its source trained it"},
        },
        xaxis={"title": {"text": "multiply-adds, in millions"}, "type": "log", "exponentformat": "none"},
        yaxis={"title": {"text": "top-1 accuracy, in percent"}, "range": [39, 89]},
        legend={"traceorder": "reversed"},
        hovermode="closest",
    )
    return figure


def _dots(family: Family, colour: str, size: int) -> Any:
    import plotly.graph_objects as go

    return go.Scatter(
        name=family.name,
        mode="markers",
        x=family.macs_millions,
        y=family.top1,
        marker={"color": colour, "size": size, "line": {"color": "white", "width": 0.75}},
        customdata=family.names,
        hovertemplate="%{customdata}<br>%{y:.1f} % at %{x:,.0f}M multiply-adds<extra></extra>",
    )
