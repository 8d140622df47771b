"""Several workers on one study: processes that the command starts, watches and replaces.

A worker is `python -m nas.workers`, with the arguments of the search that started it: a process of its own, so that
running out of memory, a crash or a kill takes one candidate along and nothing else. The study is all they share.
A worker holds the reading end of a pipe from its parent and ends with it, however the parent ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

from nas import cli
from nas.device import Share
from nas.errors import UserError
from nas.loop import UNDER_WAY, Limits, Search
from nas.report import note

POLL_S = 0.3
DEATHS = 3  # in a row, with no trial finished in between, before the search gives up
INTERRUPT_S = 30.0  # for workers to put down what they have in hand
OVER, IDLE, MISTAKE, INTERRUPTED = 0, 75, 2, 130  # how a worker ends of its own accord


@dataclass
class Place:
    """One worker's: its share of the machine, its log, its process, and why it ended for good."""

    share: Share
    log: Path
    process: subprocess.Popen[bytes] | None = None
    ended: str = ""

    def last_line(self) -> str:
        """What the worker said last."""
        said = self.log.read_text(encoding="utf-8", errors="replace").splitlines() if self.log.is_file() else []
        return next((line for line in reversed(said) if line.strip()), "nothing")


@dataclass
class Crew:
    """Workers on one study; `search` is never run, it reads the study and tells the reporter."""

    search: Search
    argv: list[str]
    shares: list[Share]
    limits: Limits
    begin: float = field(default_factory=time.monotonic)
    deaths: int = 0

    def __post_init__(self) -> None:
        folder = self.search.stored.folder / "workers"
        self.places = [Place(share, folder / f"{i}.log") for i, share in enumerate(self.shares)]
        self.told = {c.number for c in self.search.stored.candidates() if c.state not in ("running", "waiting")}
        self.started: set[int] = set()

    def run(self) -> str:
        """Search until a limit is reached; return which one it was. Raise `UserError` when workers cannot live."""
        self.search.announce(self.limits)
        try:
            while True:
                self._look()
                for place in self.places:
                    self._collect(place)
                over = self.search._reached(self.limits, time.monotonic() - self.begin)
                for place in self.places:
                    if not over and not place.process and not place.ended and self._alive() < self._needed():
                        self._start(place)
                if not self._alive():
                    self._look()
                    return over or next(place.ended for place in self.places if place.ended)
                time.sleep(POLL_S)
        except KeyboardInterrupt:
            self._interrupt()
            return "interrupted"
        finally:
            for place in self.places:
                _end(place)

    # ------------------------------------------------------------------------------------ workers

    def _alive(self) -> int:
        return sum(place.process is not None for place in self.places)

    def _needed(self) -> int:
        """How many workers may have something to do."""
        if self.limits.trials is None:
            return len(self.places)
        return self.search._missing(self.limits.trials)

    def _start(self, place: Place) -> None:
        place.log.parent.mkdir(parents=True, exist_ok=True)
        more = ["--device", place.share.device, "--threads", str(place.share.threads)]
        if self.limits.trials is not None:
            more += ["--trials", str(self.limits.trials)]
        if self.limits.timeout is not None:
            more += ["--timeout", f"{max(1, self.limits.timeout - (time.monotonic() - self.begin)):.0f}s"]
        with place.log.open("ab") as log:
            place.process = subprocess.Popen(
                [sys.executable, "-m", "nas.workers", *self.argv, *more],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=os.environ | place.share.environment,
                process_group=0,  # Ctrl-C in a terminal reaches this process, which passes it on once
            )

    def _collect(self, place: Place) -> None:
        """Take note of a worker that ended; one that died is started anew by the next round."""
        if place.process is None or (code := place.process.poll()) is None:
            return
        _end(place)
        if code == MISTAKE:
            raise UserError(place.last_line().removeprefix("error: "))
        if code in (OVER, INTERRUPTED):
            place.ended = place.last_line()
        elif code != IDLE:
            self._died(place, code)

    def _died(self, place: Place, code: int) -> None:
        self.deaths += 1
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        note(f"a worker ended {how} and is replaced (its log: {place.log})")
        if self.deaths >= max(DEATHS, 2 * len(self.places)):
            raise UserError(
                f"workers must live long enough to finish a trial, but {self.deaths} in a row did not, the last ended "
                f"{how} and said: {place.last_line()} (its log: {place.log})"
            )

    def _interrupt(self) -> None:
        """Let the workers queue their candidates once more; a second Ctrl-C does not wait for that."""
        for place in self.places:
            if place.process:
                place.process.send_signal(signal.SIGINT)
        until = time.monotonic() + INTERRUPT_S
        for place in self.places:
            if place.process:
                try:
                    place.process.wait(max(0.0, until - time.monotonic()))
                except (subprocess.TimeoutExpired, KeyboardInterrupt):
                    until = 0.0

    # ----------------------------------------------------------------------------------- the study

    def _look(self) -> None:
        """Read the study, queue what dead workers left, and tell the reporter what is new."""
        self.search.revive()
        self.search.candidates = self.search.stored.candidates()
        for c in self.search.candidates:
            if c.state == "running" and c.number not in self.started:
                self.started.add(c.number)
                self.search.reporter.started(c.number, c.arch, c.cost.flops)
            elif c.state not in ("running", "waiting") and c.number not in self.told:
                self.told.add(c.number)
                self.deaths = 0 if c.settled and c.reason != "error" else self.deaths
                self.search.seconds.append((c.seconds or 0.0) / len(self.places))  # so often one ends
                self.search.timings.append(c.attrs.get("timings", {}))
                self.search._tell_reporter(c.number, self.limits, self.begin)


def _end(place: Place) -> None:
    """Kill a worker if it lives, and close its pipe."""
    if place.process:
        place.process.kill()
        place.process.wait()
        if place.process.stdin:
            place.process.stdin.close()
    place.process = None


# ------------------------------------------------------------------------------------ in the worker


def end_with(pipe: int) -> None:
    """End this process when the other end of the pipe is closed: when the parent ends, by whatever means."""

    def watch() -> None:
        os.read(pipe, 1)
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def main(argv: list[str] | None = None) -> int:
    """Work on the study of `nas.search` with these arguments, which the parent has made, until a limit is reached."""
    end_with(sys.stdin.fileno())
    from nas import search

    session, limits = search.opened(search.parser().parse_args(argv))
    ended = session.search.work(limits)
    print(ended, flush=True)
    return IDLE if ended.endswith(UNDER_WAY) else INTERRUPTED if ended == "interrupted" else OVER


if __name__ == "__main__":
    cli.run(main)
