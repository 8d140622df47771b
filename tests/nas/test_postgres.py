"""Studies on a real PostgreSQL server: searched, gone on with, and looked at without being written to."""

from __future__ import annotations

from pathlib import Path

import pytest
from optuna.exceptions import StorageInternalError

from dashboard.studies import Studies
from nas.loop import Limits
from nas.store import open_study
from tests.nas.searching import search
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
