"""How far a run is: its limits, what the study says is done, and what the run's own trials took."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from nas.budgeted import total
from nas.candidates import Candidate, pareto
from nas.store import Stored
from nas.training import Point
from search_spaces.arch import Arch

UNDER_WAY = "done or under way in other workers"


@dataclass(frozen=True)
class Limits:
    """When to stop: finished trials in the study, or seconds in this run; None for no limit."""

    trials: int | None = None
    timeout: float | None = None


class Reporter:
    """What a run tells whoever watches. This one is deaf; `nas.report` has one that prints."""

    def started(self, number: int, arch: Arch, flops: int) -> None: ...

    def point(self, point: Point) -> None: ...

    def finished(self, candidate: Candidate, done: int, on_front: bool, seconds_left: float | None) -> None: ...


class Progress:
    """A worker keeps one of its own run; the command that started several keeps one of theirs."""

    def __init__(self, stored: Stored, reporter: Reporter | None = None) -> None:
        self.stored, self.reporter = stored, reporter or Reporter()
        self.candidates: list[Candidate] = []  # as the study had them when it was last read
        self.seconds: list[float] = []  # that this run's trials took
        self.timings: list[Mapping[str, float]] = []  # what for
        self.begin(Limits())

    def begin(self, limits: Limits) -> None:
        """Start the clock."""
        self.limits, self._begun = limits, time.monotonic()

    def announce(self) -> None:
        """Keep in the study when this run began and will stop, in unix seconds, for those who watch from elsewhere."""
        now, timeout = time.time(), self.limits.timeout
        until = None if timeout is None else now + timeout
        self.stored.study.set_user_attr("limits", {"trials": self.limits.trials, "begun": now, "until": until})

    def read(self) -> None:
        """Read the study: once a trial, for a database answers in milliseconds."""
        self.candidates = self.stored.candidates()

    # ------------------------------------------------------------------------------------ limits

    def reached(self) -> str:
        """Which limit is, in words; empty for none."""
        return self._enough() or self._late()

    def _enough(self) -> str:
        trials = self.limits.trials
        if trials is None:
            return ""
        if self.done() >= trials:
            return f"{trials} trials are done"
        return f"{trials} trials are {UNDER_WAY}" if self._taken_up() >= trials else ""

    def _late(self) -> str:
        left = self.seconds_left()
        if left is None or left >= (self._pace() or 0.0):
            return ""
        return f"the time limit of {self.limits.timeout:.0f} s is reached"

    def seconds_left(self) -> float | None:
        """Until the time limit; None where there is none."""
        if self.limits.timeout is None:
            return None
        return self.limits.timeout - (time.monotonic() - self._begun)

    def missing(self) -> int | None:
        """Trials still to do; None where nothing but the time ends the run."""
        return None if self.limits.trials is None else self.limits.trials - self.done()

    def done(self) -> int:
        """Trials that say something of their architecture: complete, or failed for a reason of its own."""
        return sum(c.settled for c in self.candidates or self.stored.candidates())

    def _taken_up(self) -> int:
        """Architectures that are settled or being trained."""
        return len({str(c.arch) for c in self.candidates if c.settled or c.state == "running"})

    def _pace(self) -> float | None:
        """Seconds in which this run finishes a trial; None before the first."""
        return sum(self.seconds) / len(self.seconds) if self.seconds else None

    # ------------------------------------------------------------------------------------- trials

    def tell(self, number: int) -> None:
        """Tell the reporter of a trial that ended."""
        candidate = self.stored.trial(number)
        on_front = number in {c.number for c in pareto(self.candidates)}
        left = [] if (limit := self.seconds_left()) is None else [limit]
        if (missing := self.missing()) is not None and (pace := self._pace()) is not None:
            left.append(missing * pace)
        self.reporter.finished(candidate, self.done(), on_front, max(0.0, min(left)) if left else None)

    def spent(self) -> dict[str, float]:
        """Seconds of this run in building (with fvcore's count), training and validation."""
        return {name: sum(t.get(name, 0.0) for t in self.timings) for name in ("build", "training", "validation")}

    def proposals(self) -> dict[str, int]:
        """What became of all proposals of the study."""
        return total([c.proposals for c in self.stored.candidates()])
