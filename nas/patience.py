"""Waiting for what is away for a while: a database that restarts, a disk that is full, a folder that is read-only."""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from random import random
from typing import TypeVar

from nas.errors import UserError

PATIENCE_S = 300.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 15.0
DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO, errno.ESTALE}
"""What the system says of a disk that is full, over its quota, read-only, limited, broken, or gone with its server."""
T = TypeVar("T")


class Away(UserError):
    """What is needed did not come back in time. What was being written is lost; what was written is not."""


def patiently(call: Callable[[], T], passing: Callable[[Exception], str], what: str, patience_s: float) -> T:
    """What `call` returns, repeated with growing pauses while it fails for a reason that may pass.

    passing: the reason in words; '' for an error that is to be raised. what: is being waited for, as in `the
    storage`. Raise `Away` after `patience_s`.
    """
    begin, pause = time.monotonic(), 0.0
    while True:
        try:
            result = call()
        except Exception as error:
            if not (why := passing(error)):
                raise
            if time.monotonic() - begin > patience_s:
                raise Away(
                    f"{what} must answer, but it did not for {patience_s:.0f} s ({why}): "
                    "the same command goes on once it does"
                ) from None
            if not pause:
                say(f"{what} is not answering ({why}); trying again")
            pause = min(LONGEST_PAUSE_S, 2 * pause or FIRST_PAUSE_S)
            time.sleep(pause * (0.5 + random() / 2))  # workers come back at different times
        else:
            if pause:
                say(f"{what} is back after {time.monotonic() - begin:.0f} s")
            return result


def disk_trouble(error: Exception) -> str:
    """What the system says when a disk cannot be written for now; '' of other errors."""
    return error.strerror or "" if isinstance(error, OSError) and error.errno in DISK else ""


def say(text: str) -> None:
    """Tell whoever watches; the disk that cannot be written may be the one that hears this."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)
