"""How many networks of a space cost how many FLOPs: all of them, counted and not sampled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from typing import Any

from nas.figures import BLUE, GREY, INK, template
from search_spaces.budget import spelled
from search_spaces.feasible import Feasible
from search_spaces.lattice import CountTable

ROUND = (10_000, 20_000, 25_000, 50_000)  # FLOPs: widths of bars, times powers of ten; all divide into the bins below
BINS_A_BAR = (1000, 500, 200, 100)


@dataclass(frozen=True)
class Histogram:
    """`counts[i]` networks cost from `edges[i]` to below `edges[i + 1]`, each edge being sharp to ± `blur` FLOPs."""

    name: str
    read_at: str
    edges: tuple[int, ...]
    counts: tuple[int, ...]
    blur: int
    limit: int | None
    """The budget's limit on FLOPs, where it has one."""

    @property
    def total(self) -> int:
        """Number of networks in all bars, which is the size of the space."""
        return sum(self.counts)

    @property
    def shares(self) -> tuple[float, ...]:
        """Each bar as a part of the whole."""
        return tuple(n / self.total for n in self.counts)


def data(feasible: Feasible, bars: int = 24) -> Histogram:
    """Count all networks, in at most `bars` bars with round edges.

    The table rounds each slot's cost down to a bin, so a network is counted too low by up to one bin
    a slot; taking it for half of that higher leaves an error either way, `blur`, of at most about a
    thousandth of the dearest network.
    """
    lattice = feasible.lattice
    low, high = (lattice.extreme("flops", sign)[1].flops for sign in (1, -1))
    # a space far narrower than its cost gets fewer bars: the table starts at 0 and should stay small
    width = _round_up(max(high - low, high // 4) / bars)
    n, slots = high // width + 1, len(lattice.slots)
    fine = next((fine for fine in BINS_A_BAR if n * fine <= 1000 * slots), BINS_A_BAR[-1])
    table = CountTable(lattice, "flops", n * width - 1, n * fine)
    rounding = (slots - 1) * (table.unit - 1)  # the first slot, the resolution, costs nothing
    shift = rounding // (2 * table.unit)
    cuts = [0, *(i * fine - shift for i in range(1, n)), n * fine]
    counted = table.counts()
    counts = [sum(counted[left:right]) for left, right in pairwise(cuts)]
    held = [i for i, number in enumerate(counts) if number]
    first, last = held[0], held[-1] + 1
    return Histogram(
        name=feasible.space.name,
        read_at=read_at(feasible),
        edges=tuple(i * width for i in range(first, last + 1)),
        counts=tuple(counts[first:last]),
        blur=max(shift * table.unit, rounding - shift * table.unit),
        limit=dict(feasible.budget.limits).get("flops"),
    )


def read_at(feasible: Feasible) -> str:
    """How costs are counted, in words: '224 px, 3 channels, 1,000 classes'."""
    return read_at_words(feasible.space.resolutions, feasible.in_channels, feasible.num_classes)


def read_at_words(sizes: Sequence[int], in_channels: int, num_classes: int) -> str:
    """'128–224 px, 3 channels, 1,000 classes' of ascending sizes."""
    pixels = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]}–{sizes[-1]}"
    channels = "1 channel" if in_channels == 1 else f"{in_channels} channels"
    return f"{pixels} px, {channels}, {num_classes:,} classes"


def plot(histogram: Histogram) -> Any:
    """Bars by FLOPs; those within the budget stand out and a line marks it."""
    import plotly.graph_objects as go

    edges, limit = histogram.edges, histogram.limit
    unit, prefix = (1e9, "G") if edges[-1] >= 20e9 else (1e6, "M")
    width = (edges[1] - edges[0]) / unit
    inside = [limit is None or edge <= limit for edge in edges[1:]]
    figure = go.Figure(
        go.Bar(
            x=[edge / unit + width / 2 for edge in edges[:-1]],
            y=[100 * share for share in histogram.shares],
            width=width * 0.92,
            marker={"color": [BLUE if fits else GREY for fits in inside], "line": {"width": 0}},
            customdata=[
                [spelled(low), spelled(high), f"{number:,}"]
                for (low, high), number in zip(pairwise(edges), histogram.counts, strict=True)
            ],
            hovertemplate="%{customdata[0]} to %{customdata[1]} FLOPs<br>"
            "%{customdata[2]} networks (%{y:.3g} %)<extra></extra>",
        )
    )
    figure.update_layout(
        template=template(),
        title={
            "text": f"{histogram.name}: FLOPs of all {counted(histogram.total)} networks",
            "subtitle": {"text": f"counted as deployed: {histogram.read_at}"},
        },
        xaxis={"title": {"text": f"FLOPs of a network ({prefix}FLOPs)"}, "showgrid": False, "ticks": "outside"},
        yaxis={"title": {"text": "networks (% of the space)"}, "rangemode": "tozero"},
    )
    if limit is not None and limit <= edges[-1]:
        figure.add_vline(
            x=limit / unit,
            line={"color": INK, "width": 1.5, "dash": "dot"},
            annotation={"text": f"budget {spelled(limit)}FLOPs", "font": {"color": INK}, "yanchor": "bottom"},
            annotation_position="top",
        )
    return figure


def counted(number: int) -> str:
    """A count of networks: with separators, or in powers of ten when longer than a line likes."""
    if number < 10**18:
        return f"{number:,}"
    power = len(str(number)) - 1
    return f"{number / 10**power:.3f} × 10^{power}"


def _round_up(number: float) -> int:
    """The next of 10, 20, 25, 50, 100, 200 … thousand FLOPs."""
    widths: Iterator[int] = (width * 10**power for power in count() for width in ROUND)
    return next(width for width in widths if width >= number)
