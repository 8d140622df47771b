"""Timing a callable: warm-up, many passes, the median and its spread; disturbed passes are dropped, noise is refused.

Where all work is done by the calling thread, the thread's own clock tells a disturbed pass: the wall clock went on
while another program had the core. Such a pass says nothing about the network and is done again. Where no pass is left
undisturbed, that clock itself can be read instead (`clock="cpu"`): the time for which the thread had its core.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import quantiles
from typing import NamedTuple

from nas.errors import UserError

WAITED = 0.04  # of a pass spent off the core, above which it counts as disturbed
TICK_MS = 0.02  # what reading the clocks and a timer interrupt may take


class Noisy(UserError):
    """No round was quiet enough to be believed."""


@dataclass(frozen=True)
class Plan:
    """How to time.

    warmup: passes that do not count. repeats: undisturbed passes of one round. seconds: of one round at most.
    rounds: of which the first quiet one is taken. spread: the middle half of a quiet round lies within this part
    of its median. clock: `wall`, or `cpu` for the time that the thread had its core, on machines that are never quiet.
    """

    warmup: int = 5
    repeats: int = 30
    seconds: float = 20.0
    rounds: int = 4
    spread: float = 0.1
    clock: str = "wall"


@dataclass(frozen=True)
class Timing:
    """Median and quartiles of the undisturbed passes, in milliseconds; `round` is which one was quiet."""

    median_ms: float
    low_ms: float
    high_ms: float
    passes: int
    disturbed: int = 0
    round: int = 1

    @property
    def spread(self) -> float:
        """The middle half's width over the median."""
        return (self.high_ms - self.low_ms) / self.median_ms

    @staticmethod
    def of(passes: list[Pass], number: int = 1) -> Timing:
        """What a round says; it needs two undisturbed passes."""
        low, median, high = quantiles([p.ms for p in passes if not p.disturbed], n=4, method="inclusive")
        disturbed = sum(p.disturbed for p in passes)
        return Timing(median, low, high, len(passes) - disturbed, disturbed, number)


class Pass(NamedTuple):
    """One run: milliseconds by the wall clock, and whether the thread waited for its core."""

    ms: float
    disturbed: bool


def passes(run: Callable[[], object], plan: Plan, own_thread: bool) -> list[Pass]:
    """Time passes until `plan.repeats` are undisturbed or its seconds are over.

    own_thread: whether `run` does all its work in the calling thread, so that a disturbance can be told.
    """
    if plan.clock == "cpu" and not own_thread:
        raise UserError("the CPU clock is that of one thread, but got more or another device: take --clock wall")
    done: list[Pass] = []
    begin, quiet = time.perf_counter(), 0
    while quiet < plan.repeats and (len(done) < 2 or time.perf_counter() - begin < plan.seconds):
        wall, busy = time.perf_counter(), time.thread_time()
        run()
        busy, wall = time.thread_time() - busy, time.perf_counter() - wall
        took_ms, waited_ms = 1e3 * (busy if plan.clock == "cpu" else wall), 1e3 * (wall - busy)
        told = own_thread and plan.clock == "wall"
        done.append(Pass(took_ms, told and waited_ms > max(TICK_MS, WAITED * took_ms)))
        quiet += not done[-1].disturbed
    return done


def measure(run: Callable[[], object], plan: Plan, own_thread: bool) -> Timing:
    """The first quiet round; raise `Noisy` when there is none."""
    for _ in range(plan.warmup):
        run()
    said = "no two passes were undisturbed"
    for number in range(1, plan.rounds + 1):
        done = passes(run, plan, own_thread)
        if sum(not p.disturbed for p in done) < 2:
            continue
        timing = Timing.of(done, number)
        if timing.spread <= plan.spread:
            return timing
        said = f"{timing.low_ms:.3g} to {timing.high_ms:.3g} ms around {timing.median_ms:.3g} ms"
    raise Noisy(
        f"a latency is told when the middle half of its passes lies within {plan.spread:.0%} of the median, but "
        f"{plan.rounds} rounds ended with {said}: close other programs, allow more by --spread, or "
        "read the thread's own clock by --clock cpu"
    )
