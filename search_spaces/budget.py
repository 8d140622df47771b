"""Budgets: upper limits on exact costs, spelled as people spell them.

300MFLOPs   0.3G   300e6 flops   300 MMACs   5Mparams   16MB   "300MFLOPs, 5Mparams"
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
_LIMIT = re.compile(r"^(?:<=?|≤)?\s*(\d+\.?\d*|\.\d+)(e[-+]?\d{1,2})?\s*([a-z-]*)$")
_EXAMPLES = "300MFLOPs, 300MMACs, 5Mparams, 16MB, or several as in '300MFLOPs, 5Mparams'"
_SPELLED = {"flops": "FLOPs", "macs": "MACs", "params": "params"}


@dataclass(frozen=True)
class Budget:
    """Upper limits by metric, in the order given: (("flops", 300_000_000), …)."""

    limits: tuple[tuple[str, int], ...] = ()

    @staticmethod
    def parse(text: str) -> Budget:
        """Read a budget; a bare number or prefix means FLOPs, bytes mean fp32 parameters of that size."""
        limits: dict[str, int] = {}
        for item in re.split(r"[,;]|\band\b|(?<![e])\+", text.strip().lower().replace("_", "")):
            metric, limit = _read(item.strip(), text)
            limits[metric] = min(limit, limits.get(metric, limit))
        return Budget(tuple(limits.items()))

    def __str__(self) -> str:
        return ", ".join(f"{spelled(limit)}{_SPELLED[metric]}" for metric, limit in self.limits)

    def fits(self, cost: Cost) -> bool:
        """Whether no limit is exceeded."""
        return all(getattr(cost, metric) <= limit for metric, limit in self.limits)

    def excess(self, cost: Cost) -> float:
        """The largest cost over its limit, as a ratio; at most 1 when the cost fits."""
        return max((getattr(cost, metric) / limit for metric, limit in self.limits), default=0.0)


def spelled(value: float) -> str:
    """A count with a prefix, as many digits as it needs: 300M, 1.25G, 4.096k."""
    for prefix, unit in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        scaled = f"{value / unit:.12g}"
        if value >= unit and Decimal(scaled) * Decimal(unit) == Decimal(value):
            return f"{scaled}{prefix}"
    return str(int(value)) if value == int(value) else f"{value:.12g}"


def _read(item: str, text: str) -> tuple[str, int]:
    found = _LIMIT.match(item) if len(item) <= 40 else None
    if not found:
        raise BudgetError(f"a budget reads like {_EXAMPLES}, but got {text[:80]!r}")
    number, unit = Decimal(found[1] + (found[2] or "")), found[3]
    metric, factor = _unit(unit, text)
    limit = int(number * Decimal(factor))  # exact, and rounded down: never above what was asked
    if not 1 <= limit <= 10**18:
        raise BudgetError(f"a budget limits a cost to a number from 1 to 1e18, but got {text[:80]!r}")
    return metric, limit


def _unit(unit: str, text: str) -> tuple[str, float]:
    if unit in _BYTES:
        return "params", _BYTES[unit] / BYTES_PER_PARAM
    for metric, names in _METRIC.items():
        for name in names:
            if unit.endswith(name) and unit.removesuffix(name) in _PREFIX:
                return metric, _PREFIX[unit.removesuffix(name)]
    raise BudgetError(
        f"a budget's unit is FLOPs, MACs, params or bytes with k, M or G, but got {text[:80]!r}; try {_EXAMPLES}"
    )
