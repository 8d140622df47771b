"""A space as a lattice: every filling of every stage, on every shape that can reach it.

A network is a path: image → stem → stage1 → … → head. What a stage costs depends only on itself
and on the shape that reaches it, so costs add along the path and one table holds them all. From it
follow, exactly and without building anything: how many networks there are, the cheapest and the
dearest, how many cost how much, and uniform draws from those that fit a budget, however few they are.

Counts by cost are polynomials, multiplied by shift and add: the coefficient of x^b is the number of
ways to finish the network with costs in b bins, packed into one Python integer (Kronecker's trick).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from random import Random
from typing import Any

from search_spaces.arch import Arch, Stage
from search_spaces.cost import Cost, TimedCost, head_cost, stage_cost, stem_cost, timed
from search_spaces.errors import ArchError, LanguageError, SpaceError
from search_spaces.holes import count, fillings
from search_spaces.latency import Latency
from search_spaces.layers import EPS, Shape

MAX_FILLINGS = 50_000
METRICS = ("flops", "macs", "params", "activations")
WIDEST = ("peak_activations",)  # metrics of which a path has its largest, not its sum
Rule = Callable[[Stage, Shape], bool]


@dataclass(frozen=True)
class Edge:
    """One filling of a slot on one shape: what it costs and the shape it leaves."""

    filling: Any
    target: Shape
    cost: Cost


@dataclass
class Lattice:
    """Slots in order (resolution, stem, stages, head) and, for each shape that reaches one, its edges."""

    slots: list[dict[Shape, list[Edge]]]
    eps: float = EPS

    @staticmethod
    def of(template: Arch, rules: Sequence[Rule], in_channels: int, num_classes: int) -> Lattice:
        """Read every filling of `template` that is valid and keeps the rules."""
        start = Shape(in_channels, 0, 0)
        sizes = fillings(template.resolution)
        slots = [{start: [Edge(r, Shape(in_channels, r, r), Cost()) for r in sizes]}]
        slots.append(_slot(slots[-1], "stem", template.stem, lambda stem, shape: stem_cost(stem, shape)))
        for i, stage in enumerate(template.stages, 1):
            slots.append(_slot(slots[-1], f"stage{i}", stage, _ruled(rules)))
        slots.append(_slot(slots[-1], "head", template.head, lambda head, shape: head_cost(head, shape, num_classes)))
        return Lattice(_pruned(slots), template.eps)

    def timed(self, latency: Latency, num_classes: int) -> Lattice:
        """The same lattice with each edge's latency."""

        def priced(i: int, shape: Shape, edge: Edge) -> Edge:
            return Edge(edge.filling, edge.target, timed(edge.cost, ns(i, shape, edge.filling)))

        def ns(i: int, shape: Shape, filling: Any) -> int:
            if i == 0:
                return 0
            if i == 1:
                return latency.stem(filling, shape)
            return latency.head(filling, shape, num_classes) if i == last else latency.stage(filling, shape)

        last = len(self.slots) - 1
        slots = [
            {s: [priced(i, s, e) for e in edges] for s, edges in slot.items()} for i, slot in enumerate(self.slots)
        ]
        return Lattice(slots, self.eps)

    def within_peak(self, limit: int) -> Lattice:
        """The networks whose peak of activations is within the limit: those of which no part exceeds it.

        Raise `SpaceError` when there is none.
        """
        slots = [
            {shape: [e for e in edges if e.cost.peak_activations <= limit] for shape, edges in slot.items()}
            for slot in self.slots
        ]
        reached = set(slots[0])
        for slot in slots:  # what no path leads to any longer would only be counted
            for shape in set(slot) - reached:
                del slot[shape]
            reached = {edge.target for edges in slot.values() for edge in edges}
        return Lattice(_pruned(slots), self.eps)

    # ---------------------------------------------------------------------------- exact readings

    def size(self) -> int:
        """Number of distinct valid networks."""
        ways: int = self._fold(lambda edges: sum(ways for _, ways in edges), 1)
        return ways

    def extreme(self, metric: str, sign: int = 1) -> tuple[Arch, Cost]:
        """The cheapest (sign 1) or dearest (sign −1) network by a metric, and its cost."""

        def least(edges: list[tuple[Edge, tuple[int, tuple[Edge, ...]]]]) -> tuple[int, tuple[Edge, ...]]:
            edge, (value, path) = min(edges, key=lambda pair: sign * both(pair[0], sign * pair[1][0]))
            return sign * both(edge, sign * value), (edge, *path)

        def both(edge: Edge, behind: int) -> int:
            mine: int = getattr(edge.cost, metric)
            return max(mine, behind) if metric in WIDEST else mine + behind

        _, path = self._fold(least, (0, ()))
        first, *rest = (edge.cost for edge in path)
        return assemble([edge.filling for edge in path], self.eps), sum(rest, first)

    def _fold(self, combine: Callable[[list[tuple[Edge, Any]]], Any], last: Any) -> Any:
        """Fold the slots from the head back: what `combine` makes of each shape's (edge, value behind it)."""
        behind: dict[Shape, Any] | None = None
        for slot in reversed(self.slots):
            after = behind
            behind = {
                shape: combine([(e, last if after is None else after[e.target]) for e in edges])
                for shape, edges in slot.items()
            }
        assert behind is not None
        (value,) = behind.values()
        return value

    def share(self, metric: str, limit: int) -> tuple[float, float]:
        """Smallest and largest share of networks within the limit: exact but for the rounding to 4,096 bins."""
        fitting, slots = CountTable(self, metric, limit, 4096), len(self.slots)
        most = fitting.total
        surely = (limit + slots) // fitting.unit - slots  # within the limit even if each slot lost unit − 1
        least = sum(fitting.counts()[: max(0, surely + 1)])
        size = self.size()
        return least / size, most / size


class CountTable:
    """How many ways there are to finish a network from each shape within each remaining cost.

    Costs are rounded down to bins, so that nothing that fits is lost; a draw that the rounding let
    through is refused by its exact cost, which leaves the draws exactly uniform.
    """

    def __init__(self, lattice: Lattice, metric: str, limit: int, bins: int = 256) -> None:
        self.lattice, self.metric = lattice, metric
        self._timed = isinstance(lattice.extreme(metric)[1], TimedCost)
        self.unit = max(1, -(-(limit + 1) // bins))
        self.bins = limit // self.unit + 1  # the last one holds the limit
        self._bytes = lattice.size().bit_length() // 8 + 1  # a coefficient never overflows into the next
        self._groups = [self._grouped(slot) for slot in lattice.slots]
        self._packed = self._fold()
        self._within = [
            {shape: list(accumulate(self._unpack(p))) for shape, p in slot.items()} for slot in self._packed
        ]
        self._choices = [lru_cache(maxsize=None)(self._chooser(i)) for i in range(len(lattice.slots))]

    def counts(self) -> list[int]:
        """Number of whole networks by bin."""
        (packed,) = self._packed[0].values()
        return self._unpack(packed)

    @property
    def total(self) -> int:
        """Number of networks whose rounded cost is within the limit."""
        (within,) = self._within[0].values()
        return within[-1]

    def draw(self, rng: Random) -> tuple[tuple[Any, ...], Cost]:
        """A uniform draw among `total`: its path of fillings, and its exact cost."""
        (shape,), left = self.lattice.slots[0], self.bins - 1
        path: list[Any] = []
        flops = macs = params = activations = peak = latency_ns = 0
        for choose in self._choices:
            cumulative, groups = choose(shape, left)
            weight, group = cumulative[-1], 0
            group = bisect_right(cumulative, rng.randrange(weight))
            bin_, shape, edges = groups[group]
            edge = edges[0] if len(edges) == 1 else edges[int(rng.random() * len(edges))]
            path.append(edge.filling)
            left -= bin_
            cost = edge.cost
            flops, macs, params = flops + cost.flops, macs + cost.macs, params + cost.params
            activations, peak = activations + cost.activations, max(peak, cost.peak_activations)
            if isinstance(cost, TimedCost):
                latency_ns += cost.latency_ns
        exact = (flops, macs, params, activations, peak)
        return tuple(path), TimedCost(*exact, latency_ns) if self._timed else Cost(*exact)

    def _grouped(self, slot: dict[Shape, list[Edge]]) -> dict[Shape, list[tuple[int, Shape, list[Edge]]]]:
        """Edges of equal bin and target together: they count alike."""
        grouped = {}
        for shape, edges in slot.items():
            alike: dict[tuple[int, Shape], list[Edge]] = defaultdict(list)
            for edge in edges:
                alike[getattr(edge.cost, self.metric) // self.unit, edge.target].append(edge)
            grouped[shape] = [(b, target, same) for (b, target), same in alike.items() if b < self.bins]
        return grouped

    def _fold(self) -> list[dict[Shape, int]]:
        width = 8 * self._bytes
        mask = (1 << width * self.bins) - 1
        packed: list[dict[Shape, int]] = []
        behind: dict[Shape, int] = {}
        for groups in reversed(self._groups):
            here = {}
            for shape, alike in groups.items():
                total = 0
                for b, target, edges in alike:
                    total += len(edges) * (behind.get(target, 0) if packed else 1) << (b * width)
                here[shape] = total & mask
            packed.append(here)
            behind = here
        return packed[::-1]

    def _unpack(self, packed: int) -> list[int]:
        size = self._bytes
        raw = packed.to_bytes(size * self.bins, "little")
        return [int.from_bytes(raw[i : i + size], "little") for i in range(0, len(raw), size)]

    def _chooser(self, i: int) -> Callable[[Shape, int], tuple[list[int], list[tuple[int, Shape, list[Edge]]]]]:
        groups, last = self._groups[i], i + 1 == len(self._groups)
        within = None if last else self._within[i + 1]

        def choices(shape: Shape, left: int) -> tuple[list[int], list[tuple[int, Shape, list[Edge]]]]:
            open_ = [g for g in groups[shape] if g[0] <= left and (within is None or within[g[1]][left - g[0]])]
            ways = (len(e) * (1 if within is None else within[target][left - b]) for b, target, e in open_)
            return list(accumulate(ways)), open_

        return choices


# ------------------------------------------------------------------------------------- construction


def path_of(arch: Arch) -> tuple[Any, ...]:
    """The fillings of the slots, in their order."""
    return (arch.resolution, arch.stem, *arch.stages, arch.head)


def assemble(path: Sequence[Any], eps: float = EPS) -> Arch:
    """The network of a path of fillings."""
    resolution, stem, *stages, head = path
    return Arch(resolution, stem, tuple(stages), head, eps)


def _slot(
    before: dict[Shape, list[Edge]], name: str, node: Any, price: Callable[[Any, Shape], tuple[Shape, Cost] | None]
) -> dict[Shape, list[Edge]]:
    """Edges of every filling of `node` on every shape the slot before can leave."""
    ways = count(node)
    if ways > MAX_FILLINGS:
        raise SpaceError(
            f"{name} may have at most {MAX_FILLINGS} fillings, but got {ways}: offer fewer options or split the stage"
        )
    options = list(dict.fromkeys(fillings(node)))
    slot: dict[Shape, list[Edge]] = {}
    problem: ArchError | None = None
    for shape in dict.fromkeys(e.target for edges in before.values() for e in edges):
        edges = []
        for filling in options:
            try:
                priced = price(filling, shape)
            except ArchError as error:
                problem = error
                continue
            if priced:
                edges.append(Edge(filling, *priced))
        if edges:
            slot[shape] = edges
    if not slot:
        raise SpaceError(
            f"a space needs a valid network, but nothing fits {name}: {problem or 'the rules forbid every filling'}"
        )
    return slot


def kept(rules: Sequence[Rule], stage: Stage, shape: Shape) -> bool:
    """Whether a stage keeps the rules where `shape` reaches it; raise `SpaceError` when one cannot tell."""
    try:
        return all(rule(stage, shape) for rule in rules)
    except LanguageError:
        raise
    except Exception as error:
        raise SpaceError(
            "a rule must tell of every stage of its space whether it may stand there, "
            f"but on {stage} one raised {type(error).__name__}: {error}"
        ) from error


def _ruled(rules: Sequence[Rule]) -> Callable[[Stage, Shape], tuple[Shape, Cost] | None]:
    def price(stage: Stage, shape: Shape) -> tuple[Shape, Cost] | None:
        return stage_cost(stage, shape) if kept(rules, stage, shape) else None

    return price


def _pruned(slots: list[dict[Shape, list[Edge]]]) -> list[dict[Shape, list[Edge]]]:
    """Without the edges that lead nowhere."""
    alive: list[dict[Shape, list[Edge]]] = [slots[-1]]
    for slot in reversed(slots[:-1]):
        kept = {shape: [e for e in edges if e.target in alive[0]] for shape, edges in slot.items()}
        alive.insert(0, {shape: edges for shape, edges in kept.items() if edges})
    if not alive[0]:
        raise SpaceError("a space needs a valid network, but no path leads from the stem to the head")
    return alive
