"""FLOPs against latency: blocks by family as parts of running networks, and whole networks of the spaces.

Where a family lies above another at equal FLOPs, its FLOPs lie: depthwise convolutions, channel shuffles and
concatenations move more than they compute.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from nas.figures import GREY, INK, template
from search_spaces.arch import Arch
from search_spaces.cost import block_cost, cost
from search_spaces.errors import LanguageError
from search_spaces.layers import Shape

if TYPE_CHECKING:
    from nas.latency.table import Table

COLOURS = ("#3566a8", "#b5443b", "#4f8f5b", "#c08a2e", "#8a63a6", "#2a9d8f", "#d98cb3", "#8d6e63", "#1f3f73", "#7fb3d9")
NETWORKS = "whole networks"
LOG = {"type": "log", "exponentformat": "none", "dtick": "D2"}  # 1, 2, 5, 10


@dataclass(frozen=True)
class Family:
    """FLOPs in millions and ms of its members, by ascending FLOPs, and GFLOPs a second in the median."""

    name: str
    members: tuple[str, ...]
    mflops: tuple[float, ...]
    ms: tuple[float, ...]

    @property
    def rates(self) -> tuple[float, ...]:
        """GFLOPs a second of each member."""
        return tuple(flops / ms for flops, ms in zip(self.mflops, self.ms, strict=True))

    @property
    def gflops_a_second(self) -> float:
        return median(self.rates)


class End(NamedTuple):
    """A whole network at one end of the figure: its text, FLOPs in millions, ms."""

    arch: str
    mflops: float
    ms: float
    gflops_a_second: float


@dataclass(frozen=True)
class Latencies:
    """Families of blocks, the fastest a FLOP first; whole networks; and where all was measured."""

    families: tuple[Family, ...]
    networks: Family | None
    about: str

    @property
    def ends(self) -> tuple[End, ...]:
        """The whole networks whose FLOPs lie most: fewest a second, and most."""
        if self.networks is None:
            return ()
        members = zip(self.networks.rates, self.networks.members, self.networks.mflops, self.networks.ms, strict=True)
        ranked = sorted(
            (End(arch, mflops, ms, rate) for rate, arch, mflops, ms in members), key=lambda end: end.gflops_a_second
        )
        return ranked[0], ranked[-1]

    @property
    def rows(self) -> list[tuple[str, int, float, float, float]]:
        """(family, members, GFLOPs a second: median, least, most), whole networks last."""
        shown = (*self.families, *([self.networks] if self.networks else []))
        return [(f.name, len(f.members), f.gflops_a_second, min(f.rates), max(f.rates)) for f in shown]


def data(table: Table) -> Latencies:
    """Group a table's parts by their block; stems and heads are left out."""
    found: dict[str, list[tuple[float, float, str]]] = {}
    for key, ms in table.parts.items():
        flops = _flops(key)
        if flops and ms:
            found.setdefault(key.partition(" ")[0].partition("(")[0], []).append((flops / 1e6, table.scale * ms, key))
    families = [_family(name, members) for name, members in found.items()]
    whole = [(cost(Arch.parse(n.arch), n.in_channels, n.num_classes).flops / 1e6, n.ms, n.arch) for n in table.networks]
    ranked = sorted(families, key=lambda family: -family.gflops_a_second)
    return Latencies(tuple(ranked), _family(NETWORKS, whole) if whole else None, str(table))


def told(found: Latencies) -> list[str]:
    """The same as lines of text: a table of the families, and the networks at both ends."""
    lines = [f"{'GFLOPs a second':>15}  {'from':>6}  {'to':>6}  {'timed':>5}  family"]
    lines += [
        f"{rate:15.2f}  {least:6.2f}  {most:6.2f}  {count:5}  {name}" for name, count, rate, least, most in found.rows
    ]
    for which, end in zip(("fewest", "most"), found.ends, strict=False):
        lines.append(f"{which} a second, {end.gflops_a_second:.2f}: {end.mflops:.1f}M FLOPs in {end.ms:.3g} ms")
        lines.append(f"  {end.arch}")
    return lines


def _family(name: str, members: list[tuple[float, float, str]]) -> Family:
    flops, ms, said = zip(*sorted(members), strict=True)
    return Family(name, said, flops, ms)


def _flops(key: str) -> int | None:
    """FLOPs of a block's key, read as a network of this stage alone; None where the key is no block's."""
    text, _, where = key.rpartition(" @ ")
    try:
        channels, height, width = map(int, where.split("×"))
        (stage,) = Arch.parse(f"r32 | conv_stem(width=8) | {text} | pool_head").stages
    except (LanguageError, ValueError):
        return None
    return block_cost(stage.block, stage.width, stage.stride, Shape(channels, height, width))[1].flops


def plot(found: Latencies) -> Any:
    """A colour a family on logarithmic axes; whole networks in ink above them."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for i, family in enumerate(found.families):
        label = f"{family.name.replace('_', ' ')}, {family.gflops_a_second:.1f}"
        figure.add_trace(_dots(family, label, COLOURS[i] if i < len(COLOURS) else GREY, 6))
    if found.networks is not None:
        label = f"{found.networks.name}, {found.networks.gflops_a_second:.1f}"
        figure.add_trace(_dots(found.networks, label, INK, 9))
    figure.update_layout(
        template=template(),
        title={"text": "FLOPs against latency", "subtitle": {"text": found.about}},
        xaxis={"title": {"text": "FLOPs, in millions"}, **LOG},
        yaxis={"title": {"text": "latency, in ms"}, **LOG},
        legend={"title": {"text": "GFLOPs a second, median"}},
        hovermode="closest",
    )
    return figure


def _dots(family: Family, label: str, colour: str, size: int) -> Any:
    import plotly.graph_objects as go

    return go.Scatter(
        name=label,
        mode="markers",
        x=family.mflops,
        y=family.ms,
        marker={"color": colour, "size": size, "opacity": 0.75, "line": {"color": "white", "width": 0.5}},
        customdata=[name if len(name) < 90 else f"{name[:87]}…" for name in family.members],
        hovertemplate="%{customdata}<br>%{y:.3f} ms, %{x:,.2f}M FLOPs<extra></extra>",
    )
