"""The search loop: ask, evaluate, record, until trials or time are up. Everything finished is in the database."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import Trial, TrialState

from nas.budgeted import BudgetedSampler, Exhausted, ask, mixed
from nas.candidates import FROM, INTERRUPTED, UNFINISHED, complete, keepers, weights_name
from nas.evaluate import Evaluation, Evaluator
from nas.files import discard, keep_weights
from nas.patience import Away
from nas.progress import Limits, Progress
from nas.recovery import earlier, me, queue_again, revive
from nas.storage import shared
from nas.store import Stored
from nas.training import Failed, Point
from search_spaces.arch import Arch
from search_spaces.cost import TimedCost
from search_spaces.feasible import Feasible


class Loop(ABC):
    """One worker on one study: trains what `_propose` says, one architecture after the other."""

    def __init__(self, stored: Stored, evaluator: Evaluator, progress: Progress) -> None:
        self.stored, self.study, self.evaluator, self.progress = stored, stored.study, evaluator, progress
        self.dropped: set[int] = set()  # trials that left the front, whose weights need no second look

    def run(self, limits: Limits) -> str:
        """Train until a limit is reached; return which one it was. Ctrl-C returns 'interrupted'."""
        self.progress.begin(limits)
        self.progress.announce()
        return self._work()

    def work(self, limits: Limits) -> str:
        """`run` without a word in the study of when it will end: one of several workers."""
        self.progress.begin(limits)
        return self._work()

    def _work(self) -> str:
        while True:
            revive(self.study)
            self.progress.read()
            if reached := self._reached():
                return reached
            try:
                self._trial()
            except UpdateFinishedTrialError:
                continue  # others took this worker for dead, and queued its candidate again
            except Exhausted as why:
                return str(why)
            except KeyboardInterrupt:
                return "interrupted"

    def _reached(self) -> str:
        """Why it is over; empty while it is not."""
        return self.progress.reached()

    # --------------------------------------------------------------------------------- one trial

    def _trial(self) -> None:
        started = time.monotonic()
        trial = self.study.ask()
        try:
            timeout: float = getattr(self.evaluator, "candidate_timeout", math.inf)
            self._note(trial, worker=me(timeout))
            arch, about = self._propose(trial)
            exact = self.stored.cost_of(arch)
            seed = about.setdefault("seed", mixed(self.evaluator.recipe.seed, trial.number))
            if refused := self._claim(trial, arch, about):
                self._fail(trial, refused, "another worker was faster")
                return
            self._note(trial, cost=asdict(exact), **about)
            self.progress.reporter.started(trial.number, arch, exact.flops)
            evaluation = self._evaluate(trial, arch, seed)
        except (Away, UpdateFinishedTrialError):
            raise
        except Failed as failure:
            self._fail(trial, failure.reason, failure.detail)
        except Exhausted as why:
            self._fail(trial, "nothing left", str(why))
            raise
        except KeyboardInterrupt:
            self._fail(trial, INTERRUPTED, "Ctrl-C")
            queue_again(self.study, self.study.trials[trial.number])
            raise
        except BaseException as error:
            self._fail(trial, "error", f"{type(error).__name__}: {error}"[:500])
            raise
        else:
            self._record(trial, evaluation, exact.flops)
        self.progress.seconds.append(time.monotonic() - started)
        self.progress.read()
        self._drop_dominated()
        self.progress.tell(trial.number)

    @abstractmethod
    def _propose(self, trial: Trial) -> tuple[Arch, dict[str, Any]]:
        """The next architecture, and what to note of how it came about."""

    def _claim(self, trial: Trial, arch: Arch, about: dict[str, Any]) -> str:
        """Take the architecture for this trial; say why where that may not be."""
        self._note(trial, arch=str(arch))
        return ""

    def _evaluate(self, trial: Trial, arch: Arch, seed: int) -> Evaluation:
        return self.evaluator.evaluate(arch, seed, self._watch(trial))

    def _watch(self, trial: Trial, begun: Sequence[dict[str, float]] = ()) -> Callable[[Point], None]:
        """Tell whoever watches of each point, here and through the study; `begun` is the curve from earlier on."""
        curve = list(begun)

        def on_point(point: Point) -> None:
            curve[:] = [*(p for p in curve if p["samples"] < point.samples), asdict(point)]
            self._note(trial, curve=curve)
            self.progress.reporter.point(point)

        return on_point

    def _record(self, trial: Trial, evaluation: Evaluation, flops: int) -> None:
        """The weights first, the trial last: a trial that is complete has all of its parts."""
        tuned = FROM in trial.user_attrs
        done = [c for c in complete(self.progress.candidates) if (c.refines is not None) is tuned]
        kept = all(c.cost.flops > flops or (c.accuracy or 0) < evaluation.accuracy for c in done)
        if kept:
            keep_weights(evaluation.weights, self.stored.folder / weights_name(trial.number))
        self._note_training(trial, evaluation)
        self.study.tell(trial, [evaluation.accuracy, float(flops)])

    def _note_training(self, trial: Trial, evaluation: Evaluation) -> None:
        self._note(
            trial,
            curve=[asdict(point) for point in evaluation.trained.curve],
            timings=evaluation.timings,
            pixels=evaluation.pixels,
        )
        self.progress.timings.append(evaluation.timings)

    def _drop_dominated(self) -> None:
        """Delete the weights that left the front: a night's search would fill the disk."""
        candidates = self.progress.candidates
        kept = {candidate.number for candidate in keepers(candidates)} | self.dropped
        for candidate in complete(candidates):
            if candidate.number not in kept:
                self.dropped.add(candidate.number)
                if weights := candidate.weights:  # looked up once: another worker may be deleting it, too
                    discard(weights)

    def _fail(self, trial: Trial, reason: str, detail: str) -> None:
        self._note(trial, reason=reason, detail=detail)
        self.study.tell(trial, state=TrialState.FAIL)

    @staticmethod
    def _note(trial: Trial, **values: Any) -> None:
        shared(trial.study).note(trial._trial_id, values)


class Search(Loop):
    """Trains what a sampler proposes of a space, no architecture twice."""

    def __init__(
        self,
        stored: Stored,
        feasible: Feasible,
        sampler: BudgetedSampler,
        evaluator: Evaluator,
        progress: Progress | None = None,
    ) -> None:
        super().__init__(stored, evaluator, progress or Progress(stored))
        self.feasible, self.sampler = feasible, sampler

    def _propose(self, trial: Trial) -> tuple[Arch, dict[str, Any]]:
        arch = ask(trial, self.feasible)
        counts = self.sampler.counts.pop(trial.number, None)
        about: dict[str, Any] = {"proposals": asdict(counts) if counts else {}}
        deployed = self.feasible.cost(arch)
        if isinstance(deployed, TimedCost):
            about["latency_ms"] = deployed.latency_ns / 1e6
        return arch, about

    def _claim(self, trial: Trial, arch: Arch, about: dict[str, Any]) -> str:
        """Before any other worker does."""
        again = {t.number for t in earlier(self.study, trial.user_attrs | about, "retry_of", "promotes")}
        return shared(self.study).claim(trial._trial_id, str(arch), again, self.progress.limits.trials, UNFINISHED)
