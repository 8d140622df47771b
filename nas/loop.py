"""The search loop: ask, evaluate, record, until trials or time are up. Everything finished is in the database."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState

from nas.budgeted import BudgetedSampler, Exhausted, ask, mixed, total
from nas.candidates import (
    DIED,
    FROM,
    INTERRUPTED,
    UNFINISHED,
    Candidate,
    complete,
    keepers,
    pareto,
    promotion,
    weights_name,
)
from nas.evaluate import Evaluation, Evaluator
from nas.files import discard, keep_weights
from nas.patience import Away
from nas.processes import place, runs, start_time
from nas.storage import shared
from nas.store import Stored
from nas.training import Failed, Point
from search_spaces.arch import Arch
from search_spaces.cost import TimedCost
from search_spaces.feasible import Feasible

ORPHAN_S = 60.0  # a trial without a worker's name for this long was killed between two writes
UNDER_WAY = "done or under way in other workers"
NAME = "NAS_WORKER"  # environment variable: what the command that started a worker calls it
GRACE_S = 900.0  # a trial on another host is given up so long after twice its time limit


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
        self.dropped: set[int] = set()  # trials that left the front, whose weights need no second look

    def run(self, limits: Limits) -> str:
        """Search until a limit is reached; return which one it was. Ctrl-C returns 'interrupted'."""
        self.announce(limits)
        return self.work(limits)

    def work(self, limits: Limits) -> str:
        """`run` without a word in the study of when it will end: one of several workers."""
        begin = time.monotonic()
        while True:
            self.revive()
            self.candidates = self.stored.candidates()  # read once a trial: a database answers in milliseconds
            reached = self._reached(limits, time.monotonic() - begin)
            if reached:
                return reached
            try:
                self._trial(limits, begin)
            except UpdateFinishedTrialError:
                continue  # others took this worker for dead, and queued its candidate again
            except Exhausted as why:
                return str(why)
            except KeyboardInterrupt:
                return "interrupted"

    # --------------------------------------------------------------------------------- one trial

    def announce(self, limits: Limits) -> None:
        """Keep in the study when this run began and will stop, in unix seconds, for those who watch from elsewhere."""
        now = time.time()
        until = None if limits.timeout is None else now + limits.timeout
        self.study.set_user_attr("limits", {"trials": limits.trials, "begun": now, "until": until})

    def _trial(self, limits: Limits, begin: float) -> None:
        started = time.monotonic()
        trial = self.study.ask()
        try:
            self._note(trial, worker=me() | {"until": self._until()})
            arch, about = self._propose(trial)
            exact = self.stored.cost_of(arch)
            seed = about.setdefault("seed", mixed(self.evaluator.recipe.seed, trial.number))
            if refused := self._claim(trial, arch, about, limits):
                self._fail(trial, refused, "another worker was faster")
                return
            self._note(trial, cost=asdict(exact), **about)
            self.reporter.started(trial.number, arch, exact.flops)
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
        self.seconds.append(time.monotonic() - started)
        self.candidates = self.stored.candidates()
        self._drop_dominated()
        self._tell_reporter(trial.number, limits, begin)

    def _propose(self, trial: Trial) -> tuple[Arch, dict[str, Any]]:
        """The next architecture, and what to note of how it came about."""
        arch = ask(trial, self.feasible)
        counts = self.sampler.counts.pop(trial.number, None)
        about: dict[str, Any] = {"proposals": asdict(counts) if counts else {}}
        deployed = self.feasible.cost(arch)
        if isinstance(deployed, TimedCost):
            about["latency_ms"] = deployed.latency_ns / 1e6
        return arch, about

    def _evaluate(self, trial: Trial, arch: Arch, seed: int) -> Evaluation:
        return self.evaluator.evaluate(arch, seed, self._watch(trial))

    def _claim(self, trial: Trial, arch: Arch, about: dict[str, Any], limits: Limits) -> str:
        """Take the architecture for this trial before any other worker does; say why where that may not be."""
        again = repeated(self.study, trial.user_attrs | about)
        return shared(self.study).claim(trial._trial_id, str(arch), again, limits.trials, UNFINISHED)

    def _until(self) -> float | None:
        """Unix seconds after which other hosts may take this worker's trial for dead; None for never."""
        timeout: float = getattr(self.evaluator, "candidate_timeout", math.inf)
        return time.time() + 2 * timeout + GRACE_S if timeout < math.inf else None

    def _watch(self, trial: Trial, begun: Sequence[dict[str, float]] = ()) -> Callable[[Point], None]:
        """Tell whoever watches of each point, here and through the study; `begun` is the curve from earlier on."""
        curve = list(begun)

        def on_point(point: Point) -> None:
            curve[:] = [*(p for p in curve if p["samples"] < point.samples), asdict(point)]
            self._note(trial, curve=curve)
            self.reporter.point(point)

        return on_point

    def _record(self, trial: Trial, evaluation: Evaluation, flops: int) -> None:
        """The weights first, the trial last: a trial that is complete has all of its parts."""
        tuned = FROM in trial.user_attrs
        done = [c for c in complete(self.candidates) if (c.refines is not None) is tuned]
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
        self.timings.append(evaluation.timings)

    def _drop_dominated(self) -> None:
        """Delete the weights that left the front: a night's search would fill the disk."""
        kept = {candidate.number for candidate in keepers(self.candidates)} | self.dropped
        for candidate in complete(self.candidates):
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

    # ------------------------------------------------------------------------------------ limits

    def done(self) -> int:
        """Trials that say something of their architecture: complete, or failed for a reason of its own."""
        return sum(c.settled for c in self.candidates or self.stored.candidates())

    def _begun(self) -> int:
        """Architectures that are settled or being trained."""
        return len({str(c.arch) for c in self.candidates if c.settled or c.state == "running"})

    def _reached(self, limits: Limits, elapsed: float) -> str:
        if limits.trials is not None and self.done() >= limits.trials:
            return f"{limits.trials} trials are done"
        if limits.trials is not None and self._begun() >= limits.trials:
            return f"{limits.trials} trials are {UNDER_WAY}"
        if limits.timeout is not None and elapsed + (self._pace() or 0.0) > limits.timeout:
            return f"the time limit of {limits.timeout:.0f} s is reached"
        return ""

    def _tell_reporter(self, number: int, limits: Limits, begin: float) -> None:
        candidate = self.stored.trial(number)
        done, front = self.done(), {c.number for c in pareto(self.candidates)}
        left: list[float] = []
        if limits.trials is not None and (pace := self._pace()) is not None:
            left.append(self._missing(limits.trials) * pace)
        if limits.timeout is not None:
            left.append(limits.timeout - (time.monotonic() - begin))
        self.reporter.finished(candidate, done, number in front, max(0.0, min(left)) if left else None)

    def _pace(self) -> float | None:
        """Seconds in which this run finishes a trial; None before the first."""
        return sum(self.seconds) / len(self.seconds) if self.seconds else None

    def _missing(self, trials: int) -> int:
        """Trials still to do."""
        return trials - self.done()

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
        return [trial.number for trial in dead if self._bury(trial)]

    def bury(self, name: str) -> None:
        """Do so with the trials of one worker, of which is known that it is dead."""
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if trial.user_attrs.get("worker", {}).get("name") == name:
                self._bury(trial)

    def _bury(self, trial: FrozenTrial) -> bool:
        """Fail a dead worker's trial and queue it once more, unless another worker does so at this moment."""
        storage = shared(self.study)
        try:
            storage.note(trial._trial_id, {"reason": DIED})
            storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        except UpdateFinishedTrialError:
            return False
        if not _deadly(self.study, trial):
            queue_again(self.study, trial)
        return True


def queue_again(study: optuna.Study, trial: FrozenTrial) -> None:
    """Queue a broken trial's architecture once more."""
    queued = trial.system_attrs.get("fixed_params")  # of a trial that broke before it had an architecture
    if params := trial.params if "arch" in trial.user_attrs else queued:
        study.enqueue_trial(params, user_attrs={"retry_of": trial.number} | promotion(trial))


def _deadly(study: optuna.Study, trial: FrozenTrial) -> bool:
    """Whether a worker died of the same candidate before: an interrupted one did not."""
    trials, before = study.get_trials(deepcopy=False), trial
    while "retry_of" in before.user_attrs:
        before = trials[before.user_attrs["retry_of"]]
        if before.user_attrs.get("reason") == DIED:
            return True
    return False


def repeated(study: optuna.Study, attrs: Mapping[str, Any]) -> set[int]:
    """Numbers of the trials that one with these attributes repeats or goes on from, to the first."""
    trials = study.get_trials(deepcopy=False)
    found: set[int] = set()
    left = [attrs]
    while left:
        now = left.pop()
        numbers = {now[name] for name in ("retry_of", "promotes") if name in now} - found
        found |= numbers
        left += [trials[number].user_attrs for number in numbers]
    return found


def me() -> dict[str, Any]:
    """This process, told apart from a later one of the same number by its start time."""
    found = {"host": place(), "pid": os.getpid(), "started": start_time(os.getpid())}
    return found | ({"name": os.environ[NAME]} if NAME in os.environ else {})


def _alive(trial: FrozenTrial) -> bool:
    """Whether a running trial's worker is; one on another host, or in another container, is until it would be done."""
    worker = trial.user_attrs.get("worker")
    if worker is None:
        begun = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
        return time.time() - begun < ORPHAN_S
    if worker["host"] != place():
        return time.time() < (worker.get("until") or math.inf)
    return runs(worker["pid"]) and bool(worker["started"] == start_time(worker["pid"]))
