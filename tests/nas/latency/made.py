"""Machines and tables that are made up, for the tests of latency."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from nas.latency import measure as measuring
from nas.latency.setting import Setting, keys
from nas.latency.table import Table
from tests.search_spaces.small import CLASSES, written_out

CPU = Setting()
MACHINE = {"processor": "none", "backend": "none", "python": "3"}


class Clock:
    """A clock of which each pass takes (wall, busy) milliseconds; stands for the module `time`."""

    def __init__(self, script: Iterator[tuple[float, float]]) -> None:
        self.script, self.wall, self.busy = script, 0.0, 0.0

    def __call__(self) -> None:
        wall, busy = next(self.script)
        self.wall, self.busy = self.wall + wall / 1e3, self.busy + busy / 1e3

    def perf_counter(self) -> float:
        return self.wall

    def thread_time(self) -> float:
        return self.busy


def scripted(monkeypatch: pytest.MonkeyPatch, *script: tuple[float, float]) -> Clock:
    clock = Clock(iter(script * 200))
    monkeypatch.setattr(measuring, "time", clock)
    return clock


def priced(name: str, seed: int = 0) -> Table:
    """A made-up table of every part of a small space."""
    rng, parts = Random(seed), sorted({key for arch in written_out(name) for key in keys(arch, 3, CLASSES)})
    return Table(CPU, MACHINE, "2026", {key: rng.uniform(0.01, 1) for key in parts}, (), 1.25, 0.5, {}, (name,))
