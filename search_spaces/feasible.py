"""The networks of a space that a budget allows: exact shares, uniform draws, nearest repairs.

A budget is a property of proposals. Whatever proposes an architecture, it passes through here
before anything is built.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from random import Random

from search_spaces.arch import Arch
from search_spaces.budget import Budget, spelled
from search_spaces.cost import Cost, cost, timed
from search_spaces.errors import BudgetError
from search_spaces.latency import Latency, latency_ns
from search_spaces.lattice import CountTable, Lattice, assemble
from search_spaces.space import Space

REFUSALS = 20_000
BINS = 256
PEAK = "peak_activations"


class Feasible:
    """The networks of `space` within `budget`, as deployed on `in_channels` and `num_classes`.

    latency: what prices parts in nanoseconds; a limit on latency needs it. Raises `BudgetError`, naming the cheapest
    network, when nothing fits.
    """

    def __init__(
        self,
        space: Space,
        budget: Budget,
        in_channels: int = 3,
        num_classes: int = 1000,
        latency: Latency | None = None,
    ) -> None:
        self.space, self.budget, self.latency = space.deployed(in_channels, num_classes), budget, latency
        self.in_channels, self.num_classes = in_channels, num_classes
        if latency is None and "latency_ns" in dict(budget.limits):
            raise BudgetError(f"a limit on latency needs a table of it, but got {budget} without one")
        peak = dict(budget.limits).get(PEAK)
        if peak is not None:
            self._check(self.lattice, PEAK, peak)
        for metric, limit in self._sums:
            self._check(self._kept, metric, limit, "" if peak is None else f" within {budget.spell(PEAK, peak)}")

    def _check(self, lattice: Lattice, metric: str, limit: int, among: str = "") -> None:
        """Raise `BudgetError` when the cheapest network by a metric is above its limit."""
        cheapest, least = lattice.extreme(metric)
        value = getattr(least, metric)
        if value > limit:
            raise BudgetError(
                f"the cheapest network of {self.space.name}{among} has {spelled_out(self.budget, metric, value)}, "
                f"but the budget is {self.budget}: {cheapest}"
            )

    @property
    def lattice(self) -> Lattice:
        """Every network of the space, with its cost."""
        return self.space.lattice(self.in_channels, self.num_classes, self.latency)

    @cached_property
    def _kept(self) -> Lattice:
        """Those within the limit on peak memory, which no sum along a path can tell."""
        peak = dict(self.budget.limits).get(PEAK)
        return self.lattice if peak is None else self.lattice.within_peak(peak)

    @property
    def _sums(self) -> tuple[tuple[str, int], ...]:
        """The limits on costs that add up."""
        return tuple((metric, limit) for metric, limit in self.budget.limits if metric != PEAK)

    @lru_cache(maxsize=65_536)  # noqa: B019 - lives as long as the search
    def cost(self, arch: Arch) -> Cost:
        """The cost as deployed."""
        exact = cost(arch, self.in_channels, self.num_classes)
        if self.latency is None:
            return exact
        return timed(exact, latency_ns(self.latency, arch, self.in_channels, self.num_classes))

    def fits(self, arch: Arch) -> bool:
        """Whether `arch` is valid in the space and within the budget."""
        return self.space.valid(arch) and self.budget.fits(self.cost(arch))

    @cached_property
    def _table(self) -> CountTable:
        """Counts by the limit that refuses most; the others are kept by redrawing."""
        limits = self._sums or (("flops", self._kept.extreme("flops", -1)[1].flops),)
        return min((CountTable(self._kept, m, limit, BINS) for m, limit in limits), key=lambda table: table.total)

    def draw(self, rng: Random) -> tuple[Arch, Cost]:
        """A uniform draw among all networks that fit, with its cost."""
        for _ in range(REFUSALS):
            path, its_cost = self._table.draw(rng)
            if self.budget.fits(its_cost):
                return assemble(path, self.space.template.eps), its_cost
        raise BudgetError(
            f"{REFUSALS} draws from {self.space.name} met no network within {self.budget}: loosen one of the limits"
        )

    def share(self) -> tuple[float, float]:
        """Bounds on the part of the space within the budget; wide only when there are several limits."""
        bounds = [self._kept.share(metric, limit) for metric, limit in self._sums]
        refused = sum(1 - least for least, _ in bounds)  # at most, were no network refused twice
        kept = self._kept.size() / self.lattice.size()
        return kept * max(0.0, 1 - refused), kept * min((most for _, most in bounds), default=1.0)

    def most(self) -> int:
        """No more networks than this fit."""
        return self._table.total

    def repair(self, arch: Arch) -> Arch:
        """The nearest network that fits: fewest choices changed, then the smallest steps, then the least cost lost.

        Exact when one change suffices; else changes are taken one by one, each the one that saves most.
        """
        while not self.budget.fits(self.cost(arch)):
            near = list(self.space.neighbours(arch))
            fitting = [n for n in near if self.budget.fits(self.cost(n))]
            if fitting:
                return min(fitting, key=lambda n: (self.space.distance(arch, n), -self.budget.excess(self.cost(n))))
            least = min(near, key=lambda n: self.budget.excess(self.cost(n)), default=arch)
            if self.budget.excess(self.cost(least)) >= self.budget.excess(self.cost(arch)):
                return self._way_out(arch)  # a dead end: no single change saves anything
            arch = least
        return arch

    def _way_out(self, arch: Arch) -> Arch:
        """The cheapest network by one limit, if it keeps the others; else a draw, the same for the same `arch`."""
        for metric, _ in self.budget.limits:
            cheapest = self._kept.extreme(metric)[0]
            if self.budget.fits(self.cost(cheapest)):
                return cheapest
        return self.draw(Random(str(arch)))[0]


def spelled_out(budget: Budget, metric: str, value: int) -> str:
    """A cost in a sentence: `213M FLOPs`, `4.21ms@cpu`, `602.112kB@int8`."""
    if metric == "latency_ns":
        return f"{value / 1e6:.3g}ms@{budget.device}"
    said = {"flops": "FLOPs", "macs": "MACs", "params": "params"}.get(metric)
    return f"{spelled(value)} {said}" if said else budget.spell(metric, value)
