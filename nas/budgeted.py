"""The gate between any sampler and the evaluator: in budget, and not seen before.

An Optuna sampler that wraps a proposer. What it hands to Optuna as the trial's parameters is what
will be evaluated, so the sampler behind it learns from the truth, and the study holds no junk.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from random import Random
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, Trial

from nas.prefilter import Prefilter
from nas.samplers import Proposer
from nas.samplers.from_optuna import distribution
from search_spaces.arch import Arch
from search_spaces.errors import BudgetError
from search_spaces.feasible import Feasible
from search_spaces.holes import Hole, Label, Range

PROPOSALS = 4  # of one trial, before a uniform draw takes over
DRAWS = 2_000


class Exhausted(Exception):
    """Every network that fits was evaluated."""


@dataclass
class Counts:
    """What became of the proposals of a trial: those repaired to fit, those passed over as seen or unrepairable."""

    proposed: int = 0
    over_budget: int = 0
    repaired: int = 0
    redrawn: int = 0


class BudgetedSampler(BaseSampler):
    """Asks a proposer, repairs what is over budget, redraws what was seen; counts both.

    The seed of trial n is a hash of (seed, n): a resumed search continues the sequence, and workers
    that share a study never share a draw.

    With a prefilter a trial has several proposals, each of which fits and is new, and its choice goes on.
    """

    def __init__(self, proposer: Proposer, feasible: Feasible, seed: int, prefilter: Prefilter | None = None) -> None:
        self.proposer, self.feasible, self.seed, self.prefilter = proposer, feasible, seed, prefilter
        self.counts: dict[int, Counts] = {}
        self._distributions = {path: distribution(hole) for path, hole in feasible.space.holes.items()}

    # ------------------------------------------------------------------------ Optuna's interface

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {} if "fixed_params" in trial.system_attrs else self._distributions

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return dict(self.feasible.space.params(self.decide(study, trial))) if search_space else {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        raise RuntimeError(f"all holes are filled together, but {param_name} was asked alone")

    # ------------------------------------------------------------------------------ the decision

    def decide(self, study: Study, trial: FrozenTrial) -> Arch:
        """The architecture of this trial: fits, and differs from every other trial's."""
        seen = seen_texts(study)
        seed = mixed(self.seed, trial.number)
        propose, rng = self.proposer(study, trial, self.feasible, seed), Random(seed)
        counts = self.counts[trial.number] = Counts()
        arch = self._admitted(propose, seen, counts, rng)
        if self.prefilter is None:
            return arch
        candidates = [arch]
        with suppress(Exhausted):
            while len(candidates) < self.prefilter.rule.proposals:
                candidates.append(self._admitted(propose, seen | set(map(str, candidates)), counts, rng))
        chosen = self.prefilter.choose(candidates, study, self.proposer, seed)
        storage: Any = study._storage
        storage.set_trial_user_attr(trial._trial_id, "proxies", self.prefilter.noted(chosen))
        return chosen

    def _admitted(self, propose: Callable[[], Arch], seen: set[str], counts: Counts, rng: Random) -> Arch:
        """A proposal that fits and is new: as proposed, repaired, or found near by or anywhere; else `Exhausted`."""
        for _ in range(PROPOSALS):
            counts.proposed += 1
            arch = propose()
            fits = self.feasible.fits(arch)
            if not fits:
                counts.over_budget += 1
                arch = self._repaired(arch)
            if str(arch) not in seen and self.feasible.fits(arch):
                counts.repaired += not fits
                return arch
            counts.redrawn += 1
        return self._unseen(arch, seen, rng)

    def _repaired(self, arch: Arch) -> Arch:
        return self.feasible.repair(arch) if self.feasible.space.valid(arch) else arch

    def _unseen(self, arch: Arch, seen: set[str], rng: Random) -> Arch:
        """A neighbour of the last proposal that is new and fits, else a uniform draw, else `Exhausted`."""
        near = [n for n in self.feasible.space.neighbours(arch) if self.feasible.fits(n) and str(n) not in seen]
        if near:
            return rng.choice(near)
        for _ in range(DRAWS):
            drawn, _ = self.feasible.draw(rng)
            if str(drawn) not in seen:
                return drawn
        raise Exhausted(f"{len(seen)} networks were evaluated and {DRAWS} draws met no other that fits")


def ask(trial: Trial, feasible: Feasible) -> Arch:
    """Fill the space's holes with a trial's parameters; raise `Exhausted` when nothing new fits."""

    def choose(path: str, hole: Hole) -> Label:
        if isinstance(hole, Range):
            return trial.suggest_int(path, hole.low, hole.high, step=hole.step)
        label: Any = trial.suggest_categorical(path, hole.labels)
        return label  # type: ignore[no-any-return]  # one of the labels

    arch = feasible.space.build(choose)
    if not feasible.fits(arch):
        raise BudgetError(f"a trial must fit the budget {feasible.budget}, but trial {trial.number} has {arch}")
    return arch


def seen_texts(study: Study) -> set[str]:
    """Texts of all architectures that trials of this study took up."""
    return {t.user_attrs["arch"] for t in study.get_trials(deepcopy=False) if "arch" in t.user_attrs}


def mixed(seed: int, number: int) -> int:
    """A 32-bit seed for one trial."""
    return int.from_bytes(sha256(f"{seed}/{number}".encode()).digest()[:4], "little")


def total(counts: list[dict[str, int]]) -> dict[str, int]:
    """Counts of many trials, summed."""
    return {name: sum(c.get(name, 0) for c in counts) for name in asdict(Counts())}
