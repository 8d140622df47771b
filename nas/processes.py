"""Whether another process of this machine lives, and which one it is."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

NAMESPACE = Path("/proc/self/ns/pid")
"""What process numbers are counted in, where the kernel tells."""


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


def place() -> str:
    """Where this process's number means this process, without spaces: two such places may share a hostname.

    That is the hostname, and where there is one the inode of the pid namespace, which containers have each of their
    own.
    """
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(str(NAMESPACE.stat().st_ino))
    return "-".join(parts)
