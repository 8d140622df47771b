"""Several workers on one study, watched and replaced by the command that started them; the study is all they share.

How a worker is started, heard of and ended is an engine's business: processes of this machine (`nas.workers`) or
tasks of a Ray cluster (`nas.cluster`). Either way it runs `work`, with the arguments of the search that started it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from nas.candidates import Candidate
from nas.errors import UserError
from nas.patience import PATIENCE_S, patiently
from nas.progress import UNDER_WAY, Limits, Progress
from nas.recovery import bury_all, revive
from nas.report import note
from nas.store import Unreachable

POLL_S = 0.3
DEATHS = 3  # in a row, with no trial finished in between, before the search gives up
INTERRUPT_S = 30.0  # for workers to put down what they have in hand


class How(Enum):
    """How a worker ended: at a limit, with nothing to do for now, by a user's mistake, by Ctrl-C, or otherwise."""

    OVER = 0
    IDLE = 75
    MISTAKE = 2
    INTERRUPTED = 130
    DIED = -1


@dataclass(frozen=True)
class Ending:
    """How a worker ended, what it said last, and of one that died by what (`by signal SIGKILL`)."""

    how: How
    said: str
    by: str = ""


class Worker(Protocol):
    """A worker that was started. `name` is what its trials say under `worker.name` (`nas.recovery.NAME`)."""

    name: str

    def ended(self) -> Ending | None:
        """None while it works."""

    def interrupt(self) -> None:
        """Let it put down what it has in hand, and end."""

    def wait(self, seconds: float) -> None:
        """Until it ends, or so many seconds are over."""

    def end(self) -> None:
        """Kill it if it lives, and let go of what it held."""


class Engine(Protocol):
    """What workers run on: `places` of them at once."""

    places: int

    def start(self, place: int, limits: Sequence[str]) -> Worker:
        """Start the worker of a place, counted from 0; `limits` are more arguments for its command line."""


def work(argv: Sequence[str]) -> tuple[How, str]:
    """Work on the study of `nas.search` with these arguments until a limit is reached; how that ended, in words.

    The storage has answered whoever started this worker, so it is waited for.
    """
    from nas import search

    args = search.parser().parse_args(argv)
    session, limits = patiently(lambda: search.opened(args), _away, "the storage", PATIENCE_S)
    said = session.search.work(limits)
    how = How.IDLE if said.endswith(UNDER_WAY) else How.INTERRUPTED if said == "interrupted" else How.OVER
    return how, said


def _away(error: Exception) -> str:
    return str(error) if isinstance(error, Unreachable) else ""


@dataclass
class Crew:
    """Workers on one study, and how far they are together."""

    progress: Progress
    engine: Engine
    deaths: int = 0

    def __post_init__(self) -> None:
        self.workers: dict[int, Worker] = {}
        self.left: dict[int, str] = {}  # places whose worker ended for good, and what it said
        self.told = {c.number for c in self.progress.stored.candidates() if c.state not in ("running", "waiting")}
        self.started: set[int] = set()
        self.names: set[str] = set()  # of all workers that were started: a study may have those of other machines

    def run(self, limits: Limits) -> str:
        """Search until a limit is reached; return which one it was. Raise `UserError` when workers cannot live."""
        self.progress.begin(limits)
        self.progress.announce()
        try:
            while True:
                self._look()
                for place in list(self.workers):
                    self._collect(place)
                over = self.progress.reached()
                for place in range(self.engine.places):
                    idle = place not in self.workers and place not in self.left
                    if not over and idle and len(self.workers) < self._needed():
                        self._start(place)
                if over:
                    self._dismiss()
                if not self.workers:
                    self._look()
                    return over or next(iter(self.left.values()))
                time.sleep(POLL_S)
        except KeyboardInterrupt:
            self._interrupt()
            self._look()
            return "interrupted"
        finally:
            for worker in self.workers.values():
                worker.end()

    # ------------------------------------------------------------------------------------ workers

    def _start(self, place: int) -> None:
        worker = self.workers[place] = self.engine.start(place, self._limits())
        self.names.add(worker.name)

    def _needed(self) -> int:
        """How many workers may have something to do: one at least, which then says why it is over."""
        missing = self.progress.missing()
        return self.engine.places if missing is None else max(1, missing)

    def _limits(self) -> list[str]:
        """What is left of the limits, as arguments."""
        trials, seconds = self.progress.limits.trials, self.progress.seconds_left()
        more = [] if trials is None else ["--trials", str(trials)]
        return more if seconds is None else [*more, "--timeout", f"{max(1, seconds):.0f}s"]

    def _collect(self, place: int) -> None:
        """Take note of a worker that ended; one that died is started anew by the next round."""
        worker = self.workers[place]
        if (ending := worker.ended()) is None:
            return
        del self.workers[place]
        worker.end()
        if ending.how == How.MISTAKE:
            raise UserError(ending.said.removeprefix("error: "))
        if ending.how in (How.OVER, How.INTERRUPTED):
            self.left[place] = ending.said
        elif ending.how == How.DIED:
            self._died(worker, ending)

    def _dismiss(self) -> None:
        """End the workers that took up no trial yet, and may wait for a place on a cluster that never comes free."""
        busy = {c.worker for c in self.progress.candidates}
        for place in [place for place, worker in self.workers.items() if worker.name not in busy]:
            self.workers.pop(place).end()

    def _died(self, worker: Worker, ending: Ending) -> None:
        self.deaths += 1
        bury_all(self.progress.stored.study, worker.name)
        note(f"a worker ended {ending.by} and is replaced ({ending.said})")
        if self.deaths >= max(DEATHS, 2 * self.engine.places):
            raise UserError(
                f"workers must live long enough to finish a trial, but {self.deaths} in a row did not, the last ended "
                f"{ending.by} and said: {ending.said}"
            )

    def _interrupt(self) -> None:
        """Let the workers queue their candidates once more; a second Ctrl-C does not wait for that."""
        for worker in self.workers.values():
            worker.interrupt()
        until = time.monotonic() + INTERRUPT_S
        for worker in self.workers.values():
            try:
                worker.wait(max(0.0, until - time.monotonic()))
                while time.monotonic() < until and self._holds(worker):  # an engine may tell of an end before it is
                    time.sleep(POLL_S)
            except KeyboardInterrupt:
                until = 0.0

    def _holds(self, worker: Worker) -> bool:
        """Whether a worker has a trial in hand."""
        candidates = self.progress.stored.candidates()
        return any(c.state == "running" and c.worker == worker.name for c in candidates)

    # ----------------------------------------------------------------------------------- the study

    def _look(self) -> None:
        """Read the study, queue what dead workers left, and tell the reporter what is new."""
        revive(self.progress.stored.study)
        self.progress.read()
        for c in self.progress.candidates:
            if c.state == "running" and c.number not in self.started:
                self.started.add(c.number)
                self.progress.reporter.started(c.number, c.arch, c.cost.flops)
            elif c.state not in ("running", "waiting") and c.number not in self.told:
                self.told.add(c.number)
                if c.settled and c.worker in self.names:
                    self._count(c)
                self.progress.tell(c.number)

    def _count(self, c: Candidate) -> None:
        """Take note of what a candidate took that one of these workers trained."""
        self.deaths = 0 if c.reason != "error" else self.deaths
        seconds = (c.seconds or 0.0) - c.attrs.get("before_s", 0.0)
        self.progress.seconds.append(seconds / self.engine.places)  # so often one ends
        self.progress.timings.append(c.timings)
