"""An end for a candidate that hangs: between two steps the training loop looks at the clock, but in one it cannot."""

from __future__ import annotations

import math
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from nas.patience import say
from nas.training import Failed

SOFT_S = 2.0  # past its time, what waits in Python is interrupted
HARD_S = 60.0  # past its time, what waits outside of Python is left to the system
HUNG = 70  # how a process ends that could not be interrupted; its trial is found as one of a dead worker


@contextmanager
def overseen(seconds: float, soft_s: float = SOFT_S, hard_s: float = HARD_S) -> Iterator[None]:
    """Raise `Failed` when the block takes `soft_s` longer than `seconds`; end the process where that has no effect.

    Signals reach the main thread alone: in others, and on systems without them, only the hard end is there.
    """
    if seconds == math.inf:
        yield
        return
    end = threading.Timer(seconds + hard_s, _end, [seconds])
    end.daemon = True
    end.start()
    try:
        with _alarm(seconds + soft_s):
            yield
    finally:
        end.cancel()


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise Failed("timed out", "it hung: one step did not end in time")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _end(seconds: float) -> None:
    say(
        f"a candidate must end or be interrupted, but this one hangs {HARD_S:.0f} s past its limit of {seconds:.0f} s: "
        "this process ends, and the same command goes on"
    )
    os._exit(HUNG)
