"""Uniform draws from the networks that fit: the honest baseline."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from nas.samplers import Proposer
from search_spaces.arch import Arch
from search_spaces.feasible import Feasible

ABOUT = "uniform over the networks that fit the budget"


def proposer() -> Proposer:
    def start(study: Any, trial: Any, feasible: Feasible, seed: int) -> Callable[[], Arch]:
        rng = Random(seed)
        return lambda: feasible.draw(rng)[0]

    return start
