"""Whether another process of this machine lives, and which one it is."""

from __future__ import annotations

import os
from pathlib import Path


def runs(pid: int) -> bool:
    """Whether this machine has a process of that number, anybody's."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def start_time(pid: int) -> str:
    """The kernel's start time of a process, or '' where there is no /proc: numbers are given out again."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""
