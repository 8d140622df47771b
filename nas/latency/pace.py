"""How fast the machine is just now: a reference network, timed before and after whatever else is timed.

A machine that is shared changes its speed by tens of percents within seconds, while each short round of passes looks
quiet: parts timed one after another are then not of one machine, and their sums predict little. So everything in a
table is a multiple of the reference's own time at that moment, told in ms at the reference's usual time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import TypeVar

from nas.latency.measure import Noisy, Plan, passes

STEADY = 0.1  # what the reference may change by while something is timed
USUAL = 0.15  # what it may be off its usual time, to begin
PATIENCE_S = 4.0  # that is waited for this; a machine that has changed for good is timed as it is
PASSES = 5
Timed = TypeVar("Timed")


class Pace:
    """The reference's time. `usual_ms`: what multiples of it are told at; the median of this sitting unless given."""

    def __init__(self, run: Callable[[], object], plan: Plan, own_thread: bool, usual_ms: float | None = None) -> None:
        self._run, self._own_thread = run, own_thread
        self._plan = replace(plan, repeats=PASSES)
        self._given, self.seen = usual_ms, list[float]()
        for _ in range(plan.warmup):
            run()

    @property
    def usual_ms(self) -> float:
        """Of the reference, when nothing is said of the moment."""
        return self._given or median(self.seen)

    @property
    def range(self) -> tuple[float, float]:
        """The least and the most that was seen, over the usual."""
        return min(self.seen) / self.usual_ms, max(self.seen) / self.usual_ms

    def around(self, timed: Callable[[], Timed]) -> tuple[Timed, float]:
        """What `timed` returns, and the reference's ms meanwhile; raise `Noisy` when that changed."""
        before = self._settled_ms()
        found = timed()
        after = self._now_ms()
        if not 1 - STEADY <= before / after <= 1 + STEADY:
            raise Noisy(
                f"the machine must keep its pace while something is timed, within {STEADY:.0%}, but a network took "
                f"{before:.3g} ms before and {after:.3g} ms after: close other programs"
            )
        return found, (before + after) / 2

    def _settled_ms(self) -> float:
        """The reference's ms once it is near the usual, or when patience ends."""
        end, now = time.monotonic() + PATIENCE_S, self._now_ms()
        while abs(now / self.usual_ms - 1) > USUAL and time.monotonic() < end:
            time.sleep(0.05)
            now = self._now_ms()
        return now

    def _now_ms(self) -> float:
        done = passes(self._run, self._plan, self._own_thread)
        now = median([p.ms for p in done if not p.disturbed] or [p.ms for p in done])
        self.seen.append(now)
        return now
