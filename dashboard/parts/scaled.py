"""A network grown by the sliders of the scaling page: its costs, drawing and words, and B0 to B7 beside it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from dash import html

from dashboard.figures import drawing, family, figure
from dashboard.metrics import COSTS
from dashboard.parts import facts, network, table
from dashboard.parts.choosing import gathered
from dashboard.site import Site
from nas.words import short
from search_spaces import Arch, Cost, LanguageError, cost, zoo
from search_spaces.errors import ArchError
from search_spaces.scaling import marginal, scale

LOW, HIGH = 0.25, 4.0  # of each factor
AXES = (("depth", "Depth"), ("width", "Width"), ("resolution", "Resolution"))
COSTLY = ("flops", "macs", "params", "activations", "peak_activations")


@dataclass(frozen=True)
class Base:
    """The network that is scaled, as it is deployed."""

    name: str
    arch: Arch
    in_channels: int = 3
    num_classes: int = 1000

    @property
    def cost(self) -> Cost:
        return cost(self.arch, self.in_channels, self.num_classes)


def chosen(site: Site, name: str | None, text: str | None) -> tuple[Base | None, str]:
    """The network that is typed, or else the one chosen; or a sentence on what is wrong with it."""
    if (text or "").strip():
        found, wrong = gathered(site, [], text)
        return (Base("typed", found["typed"]), "") if found else (None, wrong)
    key, _, rest = (name or "").rpartition("/")
    if key == "zoo" and rest in zoo.names():
        known = zoo.find(rest)
        return Base(rest, known.arch, known.in_channels, known.num_classes), ""
    picked = {"study": key, "trial": int(rest) if rest.isdecimal() and len(rest) < 10 else None}
    at, row = site.picked(picked), site.row(picked)
    if at is None or row is None:
        return None, "Choose a network, or type one."
    meta = at[0].meta
    return Base(f"trial {row.number} of {at[0].name}", row.arch, meta["in_channels"], meta["num_classes"]), ""


def factors(at: Any) -> tuple[float, float, float]:
    """Depth, width and resolution as a page names them, kept within the sliders; 1 where it names none."""
    given = at if isinstance(at, list) and len(at) == 3 else [1, 1, 1]
    depth, width, resolution = (
        min(HIGH, max(LOW, float(x))) if isinstance(x, int | float) and x == x else 1.0 for x in given
    )
    return depth, width, resolution


def shown(base: Base, at: tuple[float, float, float]) -> tuple[Any, ...]:
    """The scaled network: costs, drawing, words, text form, and its place beside EfficientNet."""
    about = f"{base.name} at depth × {at[0]:.2f}, width × {at[1]:.2f}, resolution × {at[2]:.2f}"
    try:
        scaled = scale(base.arch, *at, in_channels=base.in_channels)
        blocks = drawing.data(scaled, base.in_channels, base.num_classes)
        now = cost(scaled, base.in_channels, base.num_classes)
    except LanguageError as error:
        return unshown(f"There is no such network: {error}", about)
    times = f"{now.flops / base.cost.flops:.2f}"
    summed = f"{short(now.flops)} FLOPs, {times}× · {scaled.depth} blocks · {scaled.resolution} px"
    said = drawing.sentence(scaled, base.in_channels, base.num_classes, blocks)
    spoken = f"{short(now.flops)} FLOPs, {times} times the network's. {said}."
    return (
        facts(costs(base, scaled, now)), "", about, drawing.plot(blocks), spoken, network.text(scaled, "scaling-form"),
        family.plot(family.data(), now.flops), family.said(family.data(), now.flops), summed,
    )  # fmt: skip


def unshown(wrong: str, about: str) -> tuple[Any, ...]:
    """Why there is nothing to draw."""
    return None, wrong, about, blank(), "", None, family.plot(family.data()), family.said(family.data()), ""


def blank() -> Any:
    """A figure with nothing on it."""
    return figure(xaxis={"visible": False}, yaxis={"visible": False})


def costs(base: Base, scaled: Arch, now: Cost) -> list[tuple[str, Any]]:
    """Exact costs with their ratio to the base's, and the shape."""
    before = base.cost
    pairs: list[tuple[str, Any]] = []
    for name in COSTLY:
        value, first = getattr(now, name), getattr(before, name)
        ratio = html.Span(f" {value / first:.2f}×", className="quiet") if first else ""
        pairs.append((COSTS[name].label.replace("Peak memory", "Peak activations"), [short(value), ratio]))
    return [
        *pairs,
        ("Blocks", [str(scaled.depth), html.Span(f" of {base.arch.depth}", className="quiet")]),
        ("Input", [f"{scaled.resolution} px", html.Span(f" of {base.arch.resolution}", className="quiet")]),
    ]


@lru_cache(maxsize=64)
def _marginals(arch: Arch, in_channels: int, num_classes: int) -> dict[str, dict[str, float]]:
    return {name: marginal(arch, name, in_channels, num_classes) for name in COSTLY}


def marginals(base: Base) -> Any:
    """What 1 % more of each axis adds, or why that cannot be told."""
    try:
        found = _marginals(base.arch, base.in_channels, base.num_classes)
    except ArchError as error:
        return html.P(f"The laws are read off whole multiples of the network, which cannot be: {error}",
                      className="quiet")  # fmt: skip
    heads = ["1 % more", *(COSTS[name].label.replace("Peak memory", "Peak act.") for name in COSTLY)]
    rows = [[label, *(f"{found[name][axis]:+.2f} %" for name in COSTLY)] for axis, label in AXES]
    return table(heads, rows, "What 1 % more of each axis adds to each cost", numbers=1)


def guide() -> Any:
    """B0 to B7 as a table."""
    base = family.data()[0]
    rows = [
        [m.name, f"{m.phi:g}", f"{m.resolution} px", str(m.depth), short(m.flops), f"{m.flops / base.flops:.1f}×",
         short(m.macs), short(m.params), f"{m.top1:.1f} %"]
        for m in family.data()
    ]  # fmt: skip
    heads = ["", "φ", "Input", "Blocks", "FLOPs", "of B0's", "MACs", "Params", "Top-1"]
    return table(heads, rows, "EfficientNet B0 to B7 with published accuracies", numbers=1)
