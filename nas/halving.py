"""A worker whose candidates train in rungs, and go on only while they are among the better ones (`nas.rungs`).

All that it knows is in the study, so that a resumed search and other workers go on alike: a trial that stopped says
so, a trial that goes on names it (`promotes`) and brings along what it had. Weights lie beside the study; where they
are missing, on another machine say, the rungs before are trained anew, to the same weights.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, Trial, TrialState
from safetensors import SafetensorError
from safetensors.torch import load_file

from nas.budgeted import BudgetedSampler
from nas.candidates import Candidate
from nas.evaluate import Checkpoint, Evaluation, Evaluator
from nas.files import discard, keep_weights
from nas.loop import Search
from nas.progress import Progress
from nas.recipe import Recipe
from nas.rungs import Reached, promotable, waiting
from nas.store import Stored
from nas.training import Point, Trained
from search_spaces.arch import Arch
from search_spaces.feasible import Feasible

KEPT = 16  # checkpoints of the next in line on each rung: others train anew, should their turn come
FOLDER = "rungs"


class Ladder(Progress):
    """How far a search in rungs is, and who goes on next."""

    def __init__(self, stored: Stored, recipe: Recipe) -> None:
        super().__init__(stored)
        self.recipe = recipe

    def next(self) -> Candidate | None:
        """The candidate to go on with, the highest rung first."""
        taken = self.taken()
        by_number = {c.number: c for c in self.candidates}
        for rung in reversed(range(self.recipe.last_rung)):
            reached, promoted = standings(self.candidates, taken, rung)
            for number in promotable(reached, promoted, self.recipe.reduction):
                return by_number[number]
        return None

    def queue(self) -> list[FrozenTrial]:
        """Trials that wait for a worker."""
        return self.stored.study.get_trials(deepcopy=False, states=(TrialState.WAITING,))

    def taken(self) -> set[int]:
        """Numbers of the stopped trials that another goes on from, went on from, or will."""
        trials = self.stored.study.get_trials(deepcopy=False)
        return {t.user_attrs["promotes"] for t in trials if "promotes" in t.user_attrs}

    def _enough(self) -> str:
        """Enough candidates are no reason to stop while one may go on."""
        enough = super()._enough()
        return "" if enough and (self.next() or self._promoted()) else enough

    def _promoted(self) -> bool:
        """Whether a candidate that goes on waits for a worker."""
        return any("promotes" in t.user_attrs for t in self.queue())

    def missing(self) -> int | None:
        """Of each rung."""
        if self.limits.trials is None:
            return None
        reached: list[int] = [self.limits.trials // self.recipe.reduction**rung for rung in range(self.recipe.rungs)]
        return sum(reached) - sum(max(1, len(c.rungs)) for c in self.candidates if c.settled)


class Halving(Search):
    """One worker on one study whose recipe has rungs."""

    progress: Ladder

    def __init__(self, stored: Stored, feasible: Feasible, sampler: BudgetedSampler, evaluator: Evaluator) -> None:
        super().__init__(stored, feasible, sampler, evaluator, Ladder(stored, evaluator.recipe))

    # ------------------------------------------------------------------------------------- one trial

    def _trial(self) -> None:
        found = None if self.progress.queue() else self.progress.next()
        if found:
            params = self.study.get_trials(deepcopy=False)[found.number].params
            self.study.enqueue_trial(params, user_attrs={"promotes": found.number})
        super()._trial()

    def _before(self, trial: Trial) -> Candidate | None:
        """The stopped trial that this one goes on from."""
        number = trial.user_attrs.get("promotes")
        return None if number is None else self.stored.trial(number)

    def _propose(self, trial: Trial) -> tuple[Arch, dict[str, Any]]:
        arch, about = super()._propose(trial)
        if before := self._before(trial):
            about |= {"seed": before.seed, "rungs": before.rungs, "curve": before.curve, "before_s": before.seconds}
        return arch, about

    def _evaluate(self, trial: Trial, arch: Arch, seed: int) -> Evaluation:
        before = self._before(trial)
        if before is None:
            return self.evaluator.evaluate(arch, seed, self._watch(trial), rung=0)
        return self.evaluator.evaluate(
            arch, seed, self._watch(trial, before.curve), len(before.rungs), self._checkpoint(before)
        )

    def _record(self, trial: Trial, evaluation: Evaluation, flops: int) -> None:
        """Complete on the last rung; else stopped, the weights first."""
        before = self._before(trial)
        end = evaluation.trained.curve[-1]
        own = {"samples": end.samples, "accuracy": end.accuracy, "seconds": sum(evaluation.timings.values())}
        rungs = [*(before.rungs if before else []), own]
        self._note(trial, rungs=rungs)
        if len(rungs) == self.evaluator.recipe.rungs:
            super()._record(trial, evaluation, flops)
            return
        if evaluation.checkpoint:
            keep_weights(evaluation.checkpoint.weights, self._path(self.stored.trial(trial.number)))
        self._note_training(trial, evaluation)
        self._note(trial, reason=f"stopped at rung {len(rungs)} of {self.evaluator.recipe.rungs}")
        self.study.tell(trial, state=TrialState.PRUNED)

    # ----------------------------------------------------------------------------------- checkpoints

    def _path(self, candidate: Candidate) -> Path:
        """Where a stopped trial's weights lie: the name holds what they are of, lest another study's be taken."""
        digest = sha256(f"{candidate.arch} {candidate.seed}".encode()).hexdigest()[:8]
        return self.stored.folder / FOLDER / f"{candidate.number:05d}-{digest}.safetensors"

    def _checkpoint(self, candidate: Candidate) -> Checkpoint | None:
        try:
            weights = load_file(self._path(candidate))
        except (OSError, SafetensorError):
            return None
        curve = [Point(**point) for point in candidate.curve]  # type: ignore[arg-type]  # samples are whole numbers
        return Checkpoint(weights, Trained(curve, curve[-1].seconds))

    def _drop_dominated(self) -> None:
        """Also the checkpoints of those that went on, and of those far behind in line."""
        super()._drop_dominated()
        kept = self._in_line()
        for path in (self.stored.folder / FOLDER).glob("*.safetensors"):
            if int(path.name.partition("-")[0]) not in kept:
                discard(path)

    def _in_line(self) -> set[int]:
        """Trials whose checkpoints may be of use: the next in line, and what running and queued ones go on from."""
        taken, candidates = self.progress.taken(), self.progress.candidates
        rungs = range(self.evaluator.recipe.last_rung)
        lines = [waiting(*standings(candidates, taken, rung))[:KEPT] for rung in rungs]
        trials = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.WAITING))
        going = {t.number for t in trials} | {t.user_attrs.get("promotes", t.number) for t in trials}
        return going | {one.number for line in lines for one in line}


def standings(candidates: Iterable[Candidate], taken: set[int], rung: int) -> tuple[list[Reached], set[int]]:
    """Those that finished a rung, with their accuracy there, and the numbers of those that were promoted from it."""
    there = [c for c in candidates if len(c.rungs) > rung and c.settled]
    reached = [Reached(c.number, c.rungs[rung]["accuracy"], c.cost.flops) for c in there]
    went_on = {c.number for c in there if len(c.rungs) > rung + 1 or c.state != "stopped" or c.number in taken}
    return reached, went_on
