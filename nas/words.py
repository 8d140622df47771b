"""Numbers as people read them; nothing heavy is imported here, so that commands and pages alike may."""

from __future__ import annotations


def short(number: float) -> str:
    """A count in four digits: 297.3M, 1.25G, 512."""
    for prefix, unit in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(number) >= unit * 0.99995:
            return f"{number / unit:.4g}{prefix}"
    return f"{number:.4g}"


def clock(seconds: float | None) -> str:
    """A duration for people: 47 s, 3 min 05 s, 2 h 10 min, 5 days."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 72:
        return f"{hours // 24} days"
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
