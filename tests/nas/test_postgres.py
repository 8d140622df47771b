"""Studies on a real PostgreSQL server: searched, gone on with, and looked at without being written to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import OperationalError

from dashboard.studies import Studies
from nas import patience, storage
from nas.loop import Search
from nas.progress import Limits
from nas.store import open_study
from search_spaces import Arch
from tests.nas.searching import Oracle, search
from tests.postgres import Server, postgres

__all__ = ["postgres"]


def test_a_search_on_postgresql_goes_on_where_it_stopped(postgres: Server, tmp_path: Path) -> None:
    """In two runs the same networks, in the same order, as unbroken in SQLite."""
    for trials in (4, 9):
        search(tmp_path, "random", storage=postgres.url).run(Limits(trials=trials))
    unbroken = search(tmp_path, "random")
    unbroken.run(Limits(trials=9))
    stored = open_study(postgres.url, "toy")
    assert [str(c.arch) for c in stored.candidates()] == [str(c.arch) for c in unbroken.stored.candidates()]
    assert [c.accuracy for c in stored.front()] == [c.accuracy for c in unbroken.stored.front()]


def test_the_dashboard_reads_it_and_cannot_write(postgres: Server, tmp_path: Path) -> None:
    search(tmp_path, "random", storage=postgres.url).run(Limits(trials=3))
    studies = Studies([postgres.url])
    (study,) = studies.look().values()
    study.refresh()
    assert len(study.trained) >= 3
    with pytest.raises(StorageInternalError) as caught:
        study.stored.study.set_user_attr("written", True)
    assert "read-only" in str(caught.value.__cause__)


# ------------------------------------------------------------------------------- a server that is away


def test_a_server_that_restarts_in_mid_search_costs_no_trial(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes down while the third candidate trains, and comes back when the search has noticed."""
    url, said, oracle = postgres.fresh(), list[str](), Oracle()

    def stop(arch: Arch) -> None:
        if len(oracle.seen) == 3:
            postgres.stop()

    def start(text: str) -> None:
        if "not answering" in text and len(said) == 0:
            postgres.start()
        said.append(text)

    monkeypatch.setattr(patience, "say", start)
    oracle.before = stop
    search(tmp_path, "random", storage=url, oracle=oracle).run(Limits(trials=6))
    unbroken = search(tmp_path, "random")
    unbroken.run(Limits(trials=6))
    found = open_study(url, "toy").candidates()
    assert [(str(c.arch), c.accuracy) for c in found] == [
        (str(c.arch), c.accuracy) for c in unbroken.stored.candidates()
    ]
    assert said[0].startswith("the storage is not answering (")
    assert said[-1].startswith("the storage is back after ")


def test_a_server_that_stays_away_ends_the_search_with_a_sentence(postgres: Server, tmp_path: Path) -> None:
    url = postgres.fresh()
    oracle = Oracle(lambda arch: postgres.stop() if len(oracle.seen) == 2 else None)
    run = search(tmp_path, "random", storage=url, oracle=oracle)
    storage.shared(run.study).patience_s = 0.0
    try:
        with pytest.raises(patience.Away, match="the same command goes on once it does"):
            run.run(Limits(trials=4))
    finally:
        postgres.start()
    assert [c.state for c in open_study(url, "toy").candidates()] == ["complete", "running"]


def test_lost_answers_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each write is done, its answer is lost, and it is done again: the study is as it would have been."""
    patiently = storage.SharedStorage.patiently
    lost: Counter[str] = Counter()

    def lossy(self: storage.SharedStorage, call: Callable[[], object], writes: bool) -> object:
        done: list[object] = []
        name = call.__qualname__

        def twice() -> object:
            done.append(call())
            if writes and len(done) == 1 and "_patient" not in name:  # making a trial may leave an empty one behind
                lost[name.split(".")[1]] += 1
                raise OperationalError("", {}, RuntimeError("server closed the connection unexpectedly"))
            return done[-1]

        return patiently(self, twice, writes)

    monkeypatch.setattr(storage.SharedStorage, "patiently", lossy)
    monkeypatch.setattr(patience, "FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr(patience, "say", lambda text: None)
    (tmp_path / "lossy").mkdir()
    run = search(tmp_path / "lossy", "random")
    run.run(Limits(trials=4))
    monkeypatch.undo()
    unbroken = search(tmp_path, "random")
    unbroken.run(Limits(trials=4))

    def told(found: Search) -> list[object]:
        kept = ("arch", "cost", "curve", "seed", "pixels", "timings")
        return [(t.params, t.values, t.state, [t.user_attrs[k] for k in kept]) for t in found.study.get_trials()]

    assert told(run) == told(unbroken)
    assert set(lost) == {"note", "claim", "set_trial_state_values"}
