"""The search loop: ask, evaluate, record, until trials or time are up. Everything finished is in the database."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from nas.budgeted import BudgetedSampler, Exhausted, ask, mixed, total
from nas.evaluate import Evaluation, Evaluator
from nas.files import write_weights
from nas.store import Candidate, Stored, complete, pareto, weights_name
from nas.training import Failed, Point
from search_spaces.arch import Arch
from search_spaces.feasible import Feasible

ORPHAN_S = 60.0  # a trial without a worker's name for this long was killed between two writes


@dataclass(frozen=True)
class Limits:
    """When to stop: finished trials in the study, or seconds in this run; None for no limit."""

    trials: int | None = None
    timeout: float | None = None


class Reporter:
    """What the loop tells whoever watches. This one is deaf; `nas.report` has one that prints."""

    def started(self, number: int, arch: Arch, flops: int) -> None: ...

    def point(self, point: Point) -> None: ...

    def finished(self, candidate: Candidate, done: int, on_front: bool, seconds_left: float | None) -> None: ...


class Search:
    """One worker on one study."""

    def __init__(
        self, stored: Stored, feasible: Feasible, sampler: BudgetedSampler, evaluator: Evaluator, reporter: Reporter
    ) -> None:
        self.stored, self.study = stored, stored.study
        self.feasible, self.sampler, self.evaluator, self.reporter = feasible, sampler, evaluator, reporter
        self.candidates: list[Candidate] = []
        self.seconds: list[float] = []
        self.timings: list[dict[str, float]] = []

    def run(self, limits: Limits) -> str:
        """Search until a limit is reached; return which one it was. Ctrl-C returns 'interrupted'."""
        begin = time.monotonic()
        self._announce(limits)
        self.revive()
        while True:
            self.candidates = self.stored.candidates()  # read once a trial: a database answers in milliseconds
            reached = self._reached(limits, time.monotonic() - begin)
            if reached:
                return reached
            try:
                self._trial(limits, begin)
            except Exhausted as why:
                return str(why)
            except KeyboardInterrupt:
                return "interrupted"

    # --------------------------------------------------------------------------------- one trial

    def _announce(self, limits: Limits) -> None:
        """Keep in the study when this run began and will stop, in unix seconds, for those who watch from elsewhere."""
        now = time.time()
        until = None if limits.timeout is None else now + limits.timeout
        self.study.set_user_attr("limits", {"trials": limits.trials, "begun": now, "until": until})

    def _trial(self, limits: Limits, begin: float) -> None:
        started = time.monotonic()
        trial = self.study.ask()
        trial.set_user_attr("worker", me())
        try:
            arch, about = self._propose(trial)
            exact = self.stored.cost_of(arch)
            seed = about.setdefault("seed", mixed(self.evaluator.recipe.seed, trial.number))
            self._note(trial, arch=str(arch), cost=asdict(exact), **about)
            self.reporter.started(trial.number, arch, exact.flops)
            evaluation = self.evaluator.evaluate(arch, seed, self._watch(trial))
        except Failed as failure:
            self._fail(trial, failure.reason, failure.detail)
        except Exhausted as why:
            self._fail(trial, "nothing left", str(why))
            raise
        except KeyboardInterrupt:
            self._fail(trial, "interrupted", "Ctrl-C")
            retry(self.study, self.study.trials[trial.number])
            raise
        except BaseException as error:
            self._fail(trial, "error", f"{type(error).__name__}: {error}"[:500])
            raise
        else:
            self._record(trial, evaluation, exact.flops)
        self.seconds.append(time.monotonic() - started)
        self.candidates = self.stored.candidates()
        self._drop_dominated()
        self._tell_reporter(trial.number, limits, begin)

    def _propose(self, trial: Trial) -> tuple[Arch, dict[str, Any]]:
        """The next architecture, and what to note of how it came about."""
        arch = ask(trial, self.feasible)
        counts = self.sampler.counts.pop(trial.number, None)
        return arch, {"proposals": asdict(counts) if counts else {}}

    def _watch(self, trial: Trial) -> Callable[[Point], None]:
        """Tell whoever watches of each point, here and through the study."""
        curve: list[dict[str, float]] = []

        def on_point(point: Point) -> None:
            curve.append(asdict(point))
            self._note(trial, curve=curve)
            self.reporter.point(point)

        return on_point

    def _record(self, trial: Trial, evaluation: Evaluation, flops: int) -> None:
        """The weights first, the trial last: a trial that is complete has all of its parts."""
        done = complete(self.candidates)
        kept = all(c.cost.flops > flops or (c.accuracy or 0) < evaluation.accuracy for c in done)
        if kept:
            write_weights(evaluation.weights, self.stored.folder / weights_name(trial.number))
        self._note(
            trial,
            curve=[asdict(point) for point in evaluation.trained.curve],
            timings=evaluation.timings,
            pixels=evaluation.pixels,
        )
        self.study.tell(trial, [evaluation.accuracy, float(flops)])
        self.timings.append(evaluation.timings)

    def _drop_dominated(self) -> None:
        """Delete the weights that left the front: a night's search would fill the disk."""
        kept = {candidate.number for candidate in pareto(self.candidates)}
        for candidate in complete(self.candidates):
            if candidate.number not in kept and candidate.weights:
                candidate.weights.unlink(missing_ok=True)

    def _fail(self, trial: Trial, reason: str, detail: str) -> None:
        self._note(trial, reason=reason, detail=detail)
        self.study.tell(trial, state=TrialState.FAIL)

    @staticmethod
    def _note(trial: Trial, **values: Any) -> None:
        for name, value in values.items():
            trial.set_user_attr(name, value)

    # ------------------------------------------------------------------------------------ limits

    def done(self) -> int:
        """Trials that say something of their architecture: complete, or failed for a reason of its own."""
        return sum(c.settled for c in self.candidates or self.stored.candidates())

    def _reached(self, limits: Limits, elapsed: float) -> str:
        if limits.trials is not None and self.done() >= limits.trials:
            return f"{limits.trials} trials are done"
        expected = sum(self.seconds) / len(self.seconds) if self.seconds else 0.0
        if limits.timeout is not None and elapsed + expected > limits.timeout:
            return f"the time limit of {limits.timeout:.0f} s is reached"
        return ""

    def _tell_reporter(self, number: int, limits: Limits, begin: float) -> None:
        candidate = next(c for c in self.candidates if c.number == number)
        done, front = self.done(), {c.number for c in pareto(self.candidates)}
        left: list[float] = []
        if limits.trials is not None:
            left.append((limits.trials - done) * sum(self.seconds) / len(self.seconds))
        if limits.timeout is not None:
            left.append(limits.timeout - (time.monotonic() - begin))
        self.reporter.finished(candidate, done, number in front, max(0.0, min(left)) if left else None)

    def spent(self) -> dict[str, float]:
        """Seconds of this run in building (with fvcore's count), training and validation."""
        return {name: sum(t.get(name, 0.0) for t in self.timings) for name in ("build", "training", "validation")}

    def proposals(self) -> dict[str, int]:
        """What became of all proposals of the study."""
        return total([c.attrs.get("proposals", {}) for c in self.stored.candidates()])

    # ---------------------------------------------------------------------------------- recovery

    def revive(self) -> list[int]:
        """Fail the trials whose worker is dead and queue each once more; return their numbers."""
        dead = [t for t in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)) if not _alive(t)]
        for trial in dead:
            storage: Any = self.study._storage
            storage.set_trial_user_attr(trial._trial_id, "reason", "worker died")
            self.study.tell(trial.number, state=TrialState.FAIL)
            retry(self.study, trial)
        return [trial.number for trial in dead]


def retry(study: optuna.Study, trial: FrozenTrial) -> None:
    """Queue a broken trial's architecture once more, unless it was the second attempt already."""
    if "arch" in trial.user_attrs and "retry_of" not in trial.user_attrs:
        study.enqueue_trial(trial.params, user_attrs={"retry_of": trial.number})


def me() -> dict[str, Any]:
    """This process, told apart from a later one of the same number by its start time."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "started": _start_time(os.getpid())}


def _alive(trial: FrozenTrial) -> bool:
    """Whether a running trial's worker is; workers on other hosts get the benefit of the doubt."""
    worker = trial.user_attrs.get("worker")
    if worker is None:
        begun = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
        return time.time() - begun < ORPHAN_S
    if worker["host"] != socket.gethostname():
        return True
    try:
        os.kill(worker["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return bool(worker["started"] == _start_time(worker["pid"]))


def _start_time(pid: int) -> str:
    """The kernel's start time of a process, or '' where there is no /proc."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""
