"""Several proposals a trial, of which the one goes on that promises most now that a zero-cost proxy has scored them.

Proxies grow with cost, so the highest score would only name the dearest network. What is compared is how far a
score lies above what networks of that many FLOPs usually get: the residual of a line over log FLOPs, fitted to
uniform draws from the networks that fit. They depend on the seed alone, so that a resumed or parallel search
chooses as an unbroken one.

A sampler with a model of accuracy (`nas.samplers.Judge`) reads that residual beside choices and cost, and so learns
from the search's own trials what the proxy is worth on this space and these images, if anything. For samplers
without one, and while little is known, the highest residual wins.
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
from nas.samplers import Judge, Proposer
from search_spaces.arch import Arch
from search_spaces.feasible import Feasible

if TYPE_CHECKING:
    from optuna import Study

    from nas.batches import Images
    from nas.recipe import Recipe

USUAL = 24  # uniform draws that the line is fitted to
MOST = 64  # proposals of a trial
FARTHEST = 4.0  # deviations from the line that a model hears of


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


@dataclass(frozen=True)
class Usual:
    """What a score usually is at a cost: a line over log FLOPs, and by how much scores deviate from it."""

    slope: float = 0.0
    height: float = 0.0
    deviation: float = 1.0

    @staticmethod
    def of(flops: Sequence[float], scores: Sequence[float]) -> Usual:
        """The line of least squares through scores that are finite."""
        points = [(math.log(x), y) for x, y in zip(flops, scores, strict=True) if math.isfinite(y)]
        costs, finite = [x for x, _ in points], [y for _, y in points]
        if len(set(costs)) < 2:
            return Usual(height=statistics.fmean(finite) if finite else 0.0)
        slope, height = statistics.linear_regression(costs, finite)
        return Usual(slope, height, statistics.pstdev([y - slope * x for x, y in points]) or 1.0)

    def above(self, flops: float, score: float) -> float:
        """By how many deviations a score lies above the line; what is no number stays what it is."""
        return (score - (self.slope * math.log(flops) + self.height)) / self.deviation


class Prefilter:
    """A rule at work on the networks of a search: scores each once, counts them and their seconds."""

    def __init__(self, rule: Rule, feasible: Feasible, images: Images, recipe: Recipe, seed: int) -> None:
        self.rule, self.feasible, self.images, self.recipe, self.seed = rule, feasible, images, recipe, seed
        self.scores: dict[Arch, float] = {}
        self.seconds = 0.0
        self.scored = 0
        self._read: set[int] = set()

    def choose(self, candidates: Sequence[Arch], study: Study, proposer: Proposer, seed: int) -> Arch:
        """The candidate to train: by the proposer's model with the proxy as an input of it, else by the proxy."""
        self._recall(study)
        chosen = None
        if isinstance(proposer, Judge):
            chosen = proposer.best(study, self.feasible, candidates, self.hint, self._drawn, seed)
        return chosen or self.best(candidates)

    def best(self, candidates: Sequence[Arch]) -> Arch:
        """The candidate with the highest score for its cost; of equal ones the first."""
        return max(candidates, key=self.advantage)

    def hint(self, arch: Arch) -> float:
        """The advantage as a model's input: none is further off than `FARTHEST`, nor is a network without a score."""
        return min(max(self.advantage(arch), -FARTHEST), FARTHEST)

    def advantage(self, arch: Arch) -> float:
        """By how many deviations the score lies above the line; `proxies.UNDEFINED` where there is no score."""
        return self._usual.above(self.feasible.cost(arch).flops, self.score(arch))

    def score(self, arch: Arch) -> float:
        """The proxy's score, with weights and images of the search's seed."""
        if arch not in self.scores:
            begin = time.perf_counter()
            pixels = self.recipe.pixels(arch.resolution)
            scores = proxies.score(arch, [self.rule.proxy], self.images, pixels, self.seed)
            self.scores[arch] = scores[self.rule.proxy]
            self.seconds += time.perf_counter() - begin
            self.scored += 1
        return self.scores[arch]

    def noted(self, arch: Arch) -> dict[str, float | None]:
        """The score by the proxy's name, as a study keeps it; None where there is none."""
        score = self.score(arch)
        return {self.rule.proxy: score if math.isfinite(score) else None}

    def __str__(self) -> str:
        return f"prefilter {self.rule}: {self.scored} networks scored in {self.seconds:.1f} s"

    def _recall(self, study: Study) -> None:
        """Take from a study what was scored by other workers, or before a search went on."""
        for trial in study.get_trials(deepcopy=False):
            noted = trial.user_attrs.get("proxies", {})
            if trial.number in self._read or self.rule.proxy not in noted or "arch" not in trial.user_attrs:
                continue
            self._read.add(trial.number)
            score = noted[self.rule.proxy]
            told = proxies.UNDEFINED if score is None or not math.isfinite(score) else score
            self.scores.setdefault(Arch.parse(trial.user_attrs["arch"]), told)

    @cached_property
    def _drawn(self) -> list[Arch]:
        rng = Random(self.seed)
        return [self.feasible.draw(rng)[0] for _ in range(USUAL)]

    @cached_property
    def _usual(self) -> Usual:
        return Usual.of([self.feasible.cost(one).flops for one in self._drawn], list(map(self.score, self._drawn)))
