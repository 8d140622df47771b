"""What a budget such as `8ms@cpu` refers to, found and handed to the language."""

from __future__ import annotations

import sys

from nas.latency.predictor import Predictor
from nas.latency.table import read
from search_spaces.budget import Budget
from search_spaces.feasible import Feasible
from search_spaces.space import Space

FAMILIAR = 0.2  # share of a network's latency that may be estimated without a word


def predictor_of(budget: Budget) -> Predictor | None:
    """What the budget's table says; None when it limits no latency; raise `UserError` when there is no such table."""
    return Predictor(read(budget.device)) if budget.device else None


def within(space: Space, budget: Budget, in_channels: int, num_classes: int) -> Feasible:
    """The networks within a budget, latency included; a word on stderr where the table is of other networks."""
    latency = predictor_of(budget)
    found = Feasible(space, budget, in_channels, num_classes, latency)
    if latency is not None:
        cheapest, _ = found.lattice.extreme("latency_ns")
        estimated = latency(cheapest, in_channels, num_classes).estimated
        if estimated > FAMILIAR:
            spaces = ", ".join(latency.table.spaces)
            print(
                f"note: {estimated:.0%} of the latency of {space.name}'s fastest network is an estimate, as the table "
                f"{budget.device} holds parts of {spaces} as deployed otherwise: measure its own by "
                f"python -m nas.latency --space {space.name} --build {budget.device}",
                file=sys.stderr,
            )
    return found
