"""`nas.search` as a process of its own, on a space that trains in moments: what tests of processes share."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from nas.errors import UserError
from nas.store import Stored, open_study
from tests.nas.test_search_command import SPACE

DEADLINE_S = 300.0  # machines may be busy
T = TypeVar("T")


def line(folder: Path, *more: str, space: str = SPACE) -> list[str]:
    """The command, with the space it names written into its folder; what comes later in a line counts."""
    folder.mkdir(exist_ok=True)
    (folder / "space.py").write_text(space)
    start = [sys.executable, "-m", "nas.search", "--budget", "8MFLOPs", "--space", "space.py:small", "--study", "s"]
    quick = ["--train-resolution", "12", "--batch-size", "16", "--threads", "1", "--precision", "fp32"]
    return [*start, *quick, "--no-export", "--trust", "0", *more]


@contextmanager
def searching(folder: Path, *more: str, space: str = SPACE) -> Iterator[subprocess.Popen[str]]:
    """The command, running; killed at the end."""
    pipe = subprocess.PIPE
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs are deaf to Ctrl-C
    command = line(folder, *more, space=space)
    with subprocess.Popen(command, cwd=folder, stdout=pipe, stderr=pipe, text=True, preexec_fn=heard) as process:
        try:
            yield process
        finally:
            process.kill()


def opened(folder: Path, name: str = "s") -> Stored | None:
    """The study, once there is one."""
    try:
        return open_study(f"sqlite:///{folder / 'results' / 'nas.db'}", name)
    except UserError:
        return None


def workers_of(stored: Stored) -> list[int]:
    """Process numbers of running trials' workers."""
    return [c.attrs["worker"]["pid"] for c in stored.candidates() if c.state == "running"]


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def eventually(look: Callable[[], T]) -> T:
    """What `look` finds once it finds something."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError(f"{look} found nothing in {DEADLINE_S} s")
