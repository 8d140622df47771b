"""How much memory is left, for guards that speak before the operating system kills the process."""

from __future__ import annotations

import os
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")  # version 2, as seen from inside a container


def available_bytes() -> int | None:
    """Memory this process can still take; None where the operating system does not say."""
    readings = [_system_available(), _container_available()]
    return min((reading for reading in readings if reading is not None), default=None)


def _system_available() -> int | None:
    """Linux's own estimate of what can be taken without swapping; elsewhere all memory, used or not."""
    try:
        fields = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines())
        return int(fields["MemAvailable"].removesuffix("kB")) * 1024
    except (OSError, KeyError, ValueError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return None


def _container_available() -> int | None:
    """What is left of a container's own limit; None without one."""
    try:
        limit = int((CGROUP / "memory.max").read_text())  # "max", not a number, where there is no limit
        used = int((CGROUP / "memory.current").read_text())
        statistics = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
        reclaimable = int(statistics.get("inactive_file", 0))  # file cache that the kernel gives up first
    except (OSError, ValueError):
        return None
    return max(0, limit - used + reclaimable)
