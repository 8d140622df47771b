"""Budgets: upper limits on costs, spelled as people spell them.

300MFLOPs   0.3G   300e6 flops   300 MMACs   5Mparams   16MB   "300MFLOPs, 5Mparams"
512KB@int8  peak activation memory in a precision          8ms@cpu  latency by the table `cpu`
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from search_spaces.cost import BYTES_PER_PARAM, Cost
from search_spaces.errors import BudgetError

_PREFIX = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "b": 1e9, "t": 1e12}
_METRIC = {
    "flops": ("flops", "flop", ""),
    "macs": ("macs", "mac", "madds", "multadds", "mult-adds", "multiply-adds"),
    "params": ("params", "param", "parameters"),
}
_BYTES = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30, "bytes": 1}
BYTES = {"int8": 1, "fp16": 2, "bf16": 2, "fp32": 4}  # of one activation
_NS = {"s": 10**9, "ms": 10**6, "us": 10**3, "µs": 10**3, "ns": 1}
_LIMIT = re.compile(r"^(?:<=?|≤)?\s*(\d+\.?\d*|\.\d+)(e[-+]?\d{1,2})?\s*([a-zµ-]*)$")
_PARTED = re.compile(r"(?:[,;]|\band\b|(?<![eE])\+)(?=[\s<=≤]*[.\d])")
_EXAMPLES = "300MFLOPs, 300MMACs, 5Mparams, 16MB, 512KB@int8, 8ms@cpu, or several as in '300MFLOPs, 5Mparams'"
_SPELLED = {"flops": "FLOPs", "macs": "MACs", "params": "params"}


@dataclass(frozen=True)
class Budget:
    """Upper limits by metric, in the order given: (("flops", 300_000_000), …).

    device: the table of latencies that a limit on `latency_ns` refers to, a name or a path.
    precision: in which a limit on `peak_activations`, counted in elements, is spelled.
    """

    limits: tuple[tuple[str, int], ...] = ()
    device: str = ""
    precision: str = "int8"

    @staticmethod
    def parse(text: str) -> Budget:
        """Read a budget; a bare number or prefix means FLOPs, bytes mean fp32 parameters of that size.

        Bytes `@` a precision mean the peak of activations in it, a time `@` a name means latency by that table.
        Limits are parted by `,`, `;`, `+` or `and` before a number; elsewhere these belong to the name of a table.
        """
        limits: dict[str, int] = {}
        where = {"latency_ns": "", "peak_activations": "int8"}
        for item in _PARTED.split(text.strip()):
            metric, limit, at = _read(item.strip(), text)
            if metric == "latency_ns" and where[metric] not in ("", at):
                raise BudgetError(f"a budget limits latency by one table, but got {where[metric]} and {at}")
            if metric in where and limit <= limits.get(metric, limit):
                where[metric] = at
            limits[metric] = min(limit, limits.get(metric, limit))
        return Budget(tuple(limits.items()), where["latency_ns"], where["peak_activations"])

    def __str__(self) -> str:
        return ", ".join(self.spell(metric, limit) for metric, limit in self.limits)

    def spell(self, metric: str, value: int) -> str:
        """A cost as a limit on it is written: 300MFLOPs, 512kB@int8, 8ms@cpu."""
        if metric == "latency_ns":
            return f"{Decimal(value) / 10**6:f}ms@{self.device}"
        if metric == "peak_activations":
            return f"{spelled(value * BYTES[self.precision])}B@{self.precision}"
        return f"{spelled(value)}{_SPELLED[metric]}"

    def fits(self, cost: Cost) -> bool:
        """Whether no limit is exceeded."""
        return all(_of(cost, metric) <= limit for metric, limit in self.limits)

    def excess(self, cost: Cost) -> float:
        """The largest cost over its limit, as a ratio; at most 1 when the cost fits."""
        return max((_of(cost, metric) / limit for metric, limit in self.limits), default=0.0)


def spelled(value: float) -> str:
    """A count with a prefix, as many digits as it needs: 300M, 1.25G, 4.096k."""
    for prefix, unit in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        scaled = f"{value / unit:.12g}"
        if value >= unit and Decimal(scaled) * Decimal(unit) == Decimal(value):
            return f"{scaled}{prefix}"
    return str(int(value)) if value == int(value) else f"{value:.12g}"


def _of(cost: Cost, metric: str) -> int:
    value = getattr(cost, metric, None)
    if value is None:
        raise BudgetError(
            "a limit on latency is kept by what draws networks of a space, but this counts exact costs only"
        )
    return int(value)


def _read(item: str, text: str) -> tuple[str, int, str]:
    """Metric, limit, and what stands behind an `@`: a precision or a table's name, which keeps its case."""
    said, at, where = item.partition("@")
    said, where = said.strip().lower().replace("_", ""), where.strip()
    found = _LIMIT.match(said) if len(said) <= 40 and len(where) <= 200 and bool(at) == bool(where) else None
    if not found:
        raise BudgetError(f"a budget reads like {_EXAMPLES}, but got {text[:80]!r}")
    number, unit = Decimal(found[1] + (found[2] or "")), found[3]
    metric, factor = _unit_at(unit, where, text) if at else _unit(unit, text)
    limit = int(number * Decimal(factor))  # exact, and rounded down: never above what was asked
    if not 1 <= limit <= 10**18:
        raise BudgetError(f"a budget limits a cost to a number from 1 to 1e18, but got {text[:80]!r}")
    return metric, limit, where.lower() if metric == "peak_activations" else where


def _unit_at(unit: str, where: str, text: str) -> tuple[str, float]:
    if unit in _NS:
        return "latency_ns", _NS[unit]
    if unit in _BYTES and where.lower() in BYTES:
        return "peak_activations", _BYTES[unit] / BYTES[where.lower()]
    raise BudgetError(
        f"what a budget limits at something is a time at a table (8ms@cpu) or bytes at one of {', '.join(BYTES)} "
        f"(512KB@int8), but got {text[:80]!r}"
    )


def _unit(unit: str, text: str) -> tuple[str, float]:
    if unit in _NS:
        raise BudgetError(f"a latency is limited by a table's name, as in 8ms@cpu, but got {text[:80]!r}")
    if unit == "b":
        raise BudgetError(
            f"a bare B may be bytes or billions: say bytes, kB or MB, or GFLOPs or Gparams, but got {text[:80]!r}"
        )
    if unit in _BYTES:
        return "params", _BYTES[unit] / BYTES_PER_PARAM
    for metric, names in _METRIC.items():
        for name in names:
            if unit.endswith(name) and unit.removesuffix(name) in _PREFIX:
                return metric, _PREFIX[unit.removesuffix(name)]
    raise BudgetError(
        f"a budget's unit is FLOPs, MACs, params or bytes with k, M or G, but got {text[:80]!r}; try {_EXAMPLES}"
    )
