"""A network drawn to scale: a bar a block, as tall as its channels, and below it where the FLOPs go.

One glance shows depth (bars), width (height), resolution (the marks above) and kinds of blocks (colours). Heights
are to the scale of the stages; a head that is wider still is cut, and its number tells.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from dashboard.figures import FAINT, GREY, PALETTE, figure
from nas.words import short
from search_spaces import Arch, ledger

ENDS = "#a3adb8"


@dataclass(frozen=True)
class Block:
    """One bar. `side` is its output map's; `share` the part of all FLOPs, in percent."""

    name: str
    text: str
    kind: str
    width: int
    side: int
    share: float
    flops: int
    params: int


def data(arch: Arch, in_channels: int = 3, num_classes: int = 1000) -> tuple[Block, ...]:
    """Stem, every block and head. A head's width is what its classifier reads."""
    rows = ledger(arch, in_channels, num_classes)
    total = sum(row.cost.flops for row in rows) or 1
    kinds = ["stem", *(stage.block.label for stage in arch.stages for _ in range(stage.depth)), "head"]
    return tuple(
        Block(
            row.name, row.text, kind.replace("_", " "), getattr(arch.head, "width",
            row.input.channels) if kind == "head"
            else row.output.channels, max(1, row.output.height), round(100 * row.cost.flops / total, 3),
            row.cost.flops, row.cost.params,
        )
        for row, kind in zip(rows, kinds, strict=True)
    )  # fmt: skip


def kinds(blocks: tuple[Block, ...]) -> dict[str, str]:
    """Kinds of blocks in order of appearance, with their colours."""
    inner = dict.fromkeys(b.kind for b in blocks if b.kind not in ("stem", "head"))
    return {"stem": ENDS, **{kind: PALETTE[i % len(PALETTE)] for i, kind in enumerate(inner)}, "head": ENDS}


def plot(blocks: tuple[Block, ...], widest: int | None = None, deepest: int | None = None) -> Any:
    """`widest` and `deepest` set a scale that several drawings share."""
    top = 1.06 * max(widest or 0, *(b.width for b in blocks[:-1])) / 2
    traces: list[dict[str, Any]] = []
    for kind, color in kinds(blocks).items():
        at = [(i, b) for i, b in enumerate(blocks) if b.kind == kind]
        if at:
            traces += _bars(kind, color, at, 2 * top)
    drawn = figure(*traces, barmode="overlay", bargap=0.16, showlegend=True, margin={"l": 8, "r": 8, "t": 62, "b": 12})
    far = max(deepest or 0, len(blocks)) - 0.4
    drawn.update_layout(
        xaxis={"showticklabels": False, "showgrid": False, "range": [-0.6, far], "anchor": "y2", "title": None},
        yaxis={"domain": [0.3, 1], "range": [-top, top * 1.2], "showgrid": False, "showticklabels": False,
               "title": {"text": "channels"}},
        yaxis2={"domain": [0, 0.22], "rangemode": "tozero", "title": {"text": "FLOPs (%)"}, "nticks": 3,
        "gridcolor": FAINT},
        legend={"y": 1.13}, dragmode=False,
    )  # fmt: skip
    marks, lines = _marks(blocks)
    drawn.update_layout(annotations=[*marks, *_widths(blocks, far, top)], shapes=lines)  # at once: one by one is slow
    return drawn


def sides(blocks: tuple[Block, ...]) -> list[tuple[int, int, int]]:
    """(side of the map, first block, last block) of each run at one resolution."""
    return runs(blocks, "side")


def runs(blocks: tuple[Block, ...], name: str) -> list[tuple[int, int, int]]:
    """(value, first block, last block) of each run of blocks that agree in `name`."""
    found = []
    for value, run in groupby(enumerate(blocks), key=lambda pair: int(getattr(pair[1], name))):
        at = [i for i, _ in run]
        found.append((value, at[0], at[-1]))
    return found


def _bars(kind: str, color: str, at: list[tuple[int, Block]], most: float) -> list[dict[str, Any]]:
    said = [[b.name, b.text, b.width, b.side, short(b.flops), short(b.params), b.share] for _, b in at]
    bar = {"type": "bar", "x": [i for i, _ in at], "marker": {"color": color, "line": {"width": 0}}, "customdata": said}
    hover = (
        "%{customdata[0]}: %{customdata[1]}<br>%{customdata[2]} channels at %{customdata[3]}² px<br>%{customdata[4]} "
        "FLOPs (%{customdata[6]:.1f} %), %{customdata[5]} params<extra></extra>"
    )
    widths = [min(b.width, most) for _, b in at]
    silhouette = {
        "y": widths,
        "base": [-w / 2 for w in widths],
        "name": kind,
        "legendgroup": kind,
        "hovertemplate": hover,
    }
    shares = {
        "y": [b.share for _, b in at],
        "yaxis": "y2",
        "legendgroup": kind,
        "showlegend": False,
        "hovertemplate": hover,
    }
    return [bar | silhouette, bar | shares]


def _widths(blocks: tuple[Block, ...], far: float, top: float) -> list[dict[str, Any]]:
    """Channels above the bars. Narrow runs of long numbers go unlabelled."""
    return [
        {"x": (first + last) / 2, "y": min(width / 2, top), "yanchor": "bottom", "text": str(width),
         "showarrow": False, "font": {"size": 10}}
        for width, first, last in runs(blocks, "width")
        if (last - first + 1) / far * 56 >= len(str(width)) or far < 16
    ]  # fmt: skip


def _marks(blocks: tuple[Block, ...]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The side of the map above its run, and a thin line where it changes. Narrow runs go unlabelled here too."""
    marks: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    for side, first, last in sides(blocks):
        if first:
            lines.append({"type": "line", "x0": first - 0.5, "x1": first - 0.5, "y0": 0.3, "y1": 1.0, "yref": "paper",
                          "line": {"color": GREY, "width": 1, "dash": "dot"}})  # fmt: skip
        if (last - first + 1) / len(blocks) * 44 >= len(str(side)) or len(blocks) <= 14:
            marks.append({"x": (first + last) / 2, "y": 1.02, "yref": "paper", "yanchor": "bottom", "text": f"{side}²",
                          "showarrow": False, "font": {"size": 11}})  # fmt: skip
    return marks, lines


def sentence(arch: Arch, in_channels: int = 3, num_classes: int = 1000, blocks: tuple[Block, ...] | None = None) -> str:
    """The drawing in words, for those who do not see it; `blocks` where they are read already."""
    blocks = blocks or data(arch, in_channels, num_classes)
    names = {b.kind for b in blocks} - {"stem", "head"}
    first, last = arch.stages[0].width, arch.stages[-1].width
    return (
        f"{arch.depth} blocks of {', '.join(sorted(names))} in {len(arch.stages)} stages, "
        f"from {first} to {last} channels, at {arch.resolution} px, the last map {blocks[-2].side} px wide"
    )
