"""A crew's account of its study: what counts as its own, and that there is always a worker to say why it is over."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from nas.crew import Crew, Ending, How
from nas.loop import Search
from nas.progress import Limits
from nas.recovery import NAME, me
from tests.nas.searching import search


class Inline:
    """An engine whose one worker at a time does its work when it is started."""

    places = 2

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, trials: int) -> None:
        self.folder, self.environment, self.trials, self.started = folder, monkeypatch, trials, 0

    def start(self, place: int, limits: Sequence[str]) -> Done:
        self.started += 1
        self.environment.setenv(NAME, name := f"worker {self.started}")
        said = worker(self.folder).work(Limits(trials=self.trials))
        self.environment.delenv(NAME)
        return Done(name, said)


class Done:
    """A worker that has ended."""

    def __init__(self, name: str, said: str) -> None:
        self.name, self.said = name, said

    def ended(self) -> Ending:
        return Ending(How.OVER, self.said)

    def interrupt(self) -> None: ...

    def wait(self, seconds: float) -> None: ...

    def end(self) -> None: ...


def worker(folder: Path) -> Search:
    return search(folder, "random")


def test_what_dead_workers_and_other_machines_took_is_not_this_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = worker(tmp_path)
    before.run(Limits(trials=1))
    left = before.study.ask()
    before._note(left, worker=me() | {"pid": 2**22 + 1}, arch="r32 | conv_stem(width=8) | pool_head")
    with sqlite3.connect(tmp_path / "nas.db") as database:  # it was killed in the night before
        database.execute("UPDATE trials SET datetime_start = '2020-01-01 00:00:00' WHERE number = 1")
    run = worker(tmp_path).progress
    engine = Inline(tmp_path, monkeypatch, trials=4)
    assert Crew(run, engine).run(Limits(trials=4, timeout=3600)) == "4 trials are done"
    assert (len(run.seconds), len(run.timings)) == (3, 3)
    assert run.spent()["training"] == pytest.approx(0.3)
    assert max(run.seconds) < 60


def test_a_crew_with_a_queue_but_enough_candidates_starts_a_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a search in rungs that is resumed with a smaller limit, while a candidate waits to go on."""
    run = worker(tmp_path).progress
    monkeypatch.setattr(run, "missing", lambda: -7)
    engine = Inline(tmp_path, monkeypatch, trials=1)
    monkeypatch.setattr(run, "reached", lambda: "over" if engine.started else "")
    assert Crew(run, engine).run(Limits(trials=9)) == "over"
