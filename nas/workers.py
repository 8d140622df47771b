"""Workers as processes of this machine.

A worker is `python -m nas.workers`: a process of its own, so that running out of memory, a crash or a kill takes one
candidate along and nothing else. It holds the reading end of a pipe from its parent and ends with it, however the
parent ends.
"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import IO, Any
from uuid import uuid4

from nas import cli
from nas.crew import Ending, How, work
from nas.device import Share
from nas.recovery import NAME


class Processes:
    """An engine: a process for each share of the machine, its log beside the study."""

    def __init__(self, argv: Sequence[str], shares: Sequence[Share], folder: Path) -> None:
        self.argv, self.shares, self.folder = argv, shares, folder / "workers"
        self.places = len(shares)

    def __str__(self) -> str:
        return f"{self.places} workers, each on {self.shares[0].device} with CPU threads: {self.shares[0].threads}"

    def start(self, place: int, limits: Sequence[str]) -> Process:
        share, log = self.shares[place], self.folder / f"{place}.log"
        own = ["--device", share.device, "--threads", str(share.threads)]
        with _opened(log) as out:
            begin = out.tell()
            started = subprocess.Popen(
                [sys.executable, "-m", "nas.workers", *self.argv, *own, *limits],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                env=os.environ | share.environment | {NAME: (name := uuid4().hex)},
                process_group=0,  # Ctrl-C in a terminal reaches this process, which passes it on once
            )
            return Process(name, started, log, begin)


class Process:
    """A worker that was started."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path, begin: int = 0) -> None:
        self.name, self.process, self.log, self.begin = name, process, log, begin  # what is before is of earlier ones

    def ended(self) -> Ending | None:
        if (code := self.process.poll()) is None:
            return None
        if code in (known := {how.value: how for how in How if how != How.DIED}):
            return Ending(known[code], self._last_line())
        by = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return Ending(How.DIED, f"{self._last_line()} (its log: {self.log})", by)

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def wait(self, seconds: float) -> None:
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdin:
            self.process.stdin.close()

    def _last_line(self) -> str:
        """What it said last."""
        said = self.log.read_bytes()[self.begin :] if self.log.is_file() else b""
        lines = said.decode("utf-8", errors="replace").splitlines()
        return next((line for line in reversed(lines) if line.strip()), "nothing")


def _opened(log: Path) -> IO[bytes]:
    """A log to append to; none where the disk refuses: workers go on without."""
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        return log.open("ab")
    except OSError:
        return open(os.devnull, "ab")


# ------------------------------------------------------------------------------------ in the worker


def end_with(pipe: int) -> None:
    """End this process when the other end of the pipe is closed: when the parent ends, by whatever means."""

    def watch() -> None:
        os.read(pipe, 1)
        os._exit(1)

    Thread(target=watch, daemon=True).start()


class Log(io.RawIOBase):
    """A file descriptor whose disk may be full: what it refuses is lost, and the worker goes on."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        with suppress(OSError):
            os.write(self.descriptor, data)
        return len(data)


def main(argv: list[str] | None = None) -> int:
    """Work on the study of the parent's arguments."""
    end_with(sys.stdin.fileno())
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(io.BufferedWriter(Log(each)), "utf-8", "replace", line_buffering=True) for each in (1, 2)
    )
    how, said = work(sys.argv[1:] if argv is None else argv)
    print(said, flush=True)
    return how.value


if __name__ == "__main__":
    cli.run(main)
