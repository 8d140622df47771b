"""Several proposals a trial, of which the one goes on that a zero-cost proxy likes best for its cost.

Proxies grow with cost, so the highest score would only name the dearest network. What is compared is how far a
score lies above what networks of that many FLOPs usually get: the residual of a line over log FLOPs, fitted to
uniform draws from the networks that fit. They depend on the seed alone, so that a resumed or parallel search
chooses as an unbroken one.
"""

from __future__ import annotations

import math
import re
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING

from nas import proxies
from nas.errors import UserError
from search_spaces.arch import Arch
from search_spaces.feasible import Feasible

if TYPE_CHECKING:
    from nas.batches import Images
    from nas.recipe import Recipe

USUAL = 24  # uniform draws that the line is fitted to
MOST = 64  # proposals of a trial


@dataclass(frozen=True)
class Rule:
    """Which proxy, and of how many proposals it picks one. `Rule.parse(str(rule)) == rule`."""

    proxy: str
    proposals: int

    @staticmethod
    def parse(text: str) -> Rule:
        """Read 'naswot:4x'; raise `UserError` for another form, number or name."""
        found = re.fullmatch(r"(\w+):(\d{1,9})x", text.strip())
        if not found or not 2 <= int(found[2]) <= MOST:
            raise UserError(f"a prefilter reads NAME:Nx, N from 2 to {MOST}, but got {text!r}: try naswot:4x")
        return Rule(proxies.find(found[1]).name, int(found[2]))

    def __str__(self) -> str:
        return f"{self.proxy}:{self.proposals}x"


class Prefilter:
    """A rule at work on the networks of a search: scores each once, counts them and their seconds."""

    def __init__(self, rule: Rule, feasible: Feasible, images: Images, recipe: Recipe, seed: int) -> None:
        self.rule, self.feasible, self.images, self.recipe, self.seed = rule, feasible, images, recipe, seed
        self.scores: dict[Arch, float] = {}
        self.seconds = 0.0

    def best(self, candidates: Sequence[Arch]) -> Arch:
        """The candidate with the highest score for its cost; of equal ones the first."""
        return max(candidates, key=self.advantage)

    def advantage(self, arch: Arch) -> float:
        """How far the score lies above the line; `proxies.UNDEFINED` where there is no score."""
        slope, height = self._line
        return self.score(arch) - (slope * self._log_flops(arch) + height)

    def score(self, arch: Arch) -> float:
        """The proxy's score, with weights and images of the search's seed."""
        if arch not in self.scores:
            begin = time.perf_counter()
            pixels = self.recipe.pixels(arch.resolution)
            scores = proxies.score(arch, [self.rule.proxy], self.images, pixels, self.seed)
            self.scores[arch] = scores[self.rule.proxy]
            self.seconds += time.perf_counter() - begin
        return self.scores[arch]

    def noted(self, arch: Arch) -> dict[str, float | None]:
        """The score by the proxy's name, as a study keeps it; None where there is none."""
        score = self.score(arch)
        return {self.rule.proxy: score if math.isfinite(score) else None}

    def __str__(self) -> str:
        return f"prefilter {self.rule}: {len(self.scores)} networks scored in {self.seconds:.1f} s"

    @cached_property
    def _line(self) -> tuple[float, float]:
        """Slope and height of the usual score over log FLOPs."""
        rng = Random(self.seed)
        drawn = [self.feasible.draw(rng)[0] for _ in range(USUAL)]
        points = [(self._log_flops(one), self.score(one)) for one in drawn if math.isfinite(self.score(one))]
        costs, scores = [x for x, _ in points], [y for _, y in points]
        if len(set(costs)) < 2:
            return 0.0, statistics.fmean(scores) if scores else 0.0
        slope, height = statistics.linear_regression(costs, scores)
        return slope, height

    def _log_flops(self, arch: Arch) -> float:
        return math.log(self.feasible.cost(arch).flops)
