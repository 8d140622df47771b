"""Studies are read and never written, and what cannot be read is told in a sentence."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from random import Random

import optuna
import pytest
from sqlalchemy.exc import SQLAlchemyError

from dashboard import studies as module
from dashboard.studies import Studies
from tests.dashboard.studying import grow, make, running


def told(url: str) -> str:
    found = Studies([url])
    assert found.look() == {}
    return found.problems[url]


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def test_reading_changes_no_byte(tmp_path: Path) -> None:
    stored = make(tmp_path, 6)
    running(stored, Random(0))
    before = digest(tmp_path / "nas.db")
    (study,) = Studies([f"sqlite:///{tmp_path / 'nas.db'}"]).get(["toy"])
    assert [r.number for r in study.rows] == [0, 1, 2, 3, 4, 5]
    assert [r.state for r in study.open] == ["running"]
    with pytest.raises((SQLAlchemyError, optuna.exceptions.StorageInternalError)):
        study.stored.study.set_user_attr("x", 1)
    assert digest(tmp_path / "nas.db") == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["nas.db"]


def test_a_missing_storage_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "nas.db"
    assert told(f"sqlite:///{path}").startswith("There is no storage")
    assert not path.parent.exists()


@pytest.mark.parametrize(("content", "words"), [(b"", "not one that a search made"), (b"no database" * 99, "damaged")])
def test_a_broken_storage_is_told_and_left_alone(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(content)
    assert words in told(f"sqlite:///{path}")
    assert path.read_bytes() == content


def test_a_foreign_database_is_told(tmp_path: Path) -> None:
    base = sqlite3.connect(tmp_path / "x.db")
    base.execute("create table people (name text)")
    base.commit()
    base.close()
    assert "not one that a search made" in told(f"sqlite:///{tmp_path / 'x.db'}")


def test_another_tools_study_is_told(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    optuna.create_study(storage=url)
    assert "1 of another tool" in told(url)


def test_an_address_that_is_none_is_told_and_passwords_are_not() -> None:
    assert "cannot be read" in told("nonsense")
    assert "secret" not in told("postgresql+psycopg://me:secret@127.0.0.1:1/x")


def test_a_storage_that_appears_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.0)
    found = Studies([f"sqlite:///{tmp_path / 'nas.db'}"])
    assert found.look() == {}
    make(tmp_path, 2)
    assert list(found.look()) == ["toy"]
    assert found.problems == {}


def test_two_storages_may_hold_studies_of_one_name(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        make(tmp_path / name, 2)
    found = Studies([f"sqlite:///{tmp_path / name / 'nas.db'}" for name in ("a", "b")])
    assert list(found.look()) == ["toy · 1", "toy · 2"]


def test_trials_are_seen_once_and_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FRESH_S", 0.0)
    stored = make(tmp_path, 3)
    (study,) = Studies([f"sqlite:///{tmp_path / 'nas.db'}"]).get(["toy"])
    first, version = list(study.rows), study.version
    assert study.refresh().version == version
    grow(stored, range(3, 5), Random(9))
    assert study.refresh().rows[:3] == first
    assert [r.number for r in study.rows] == [0, 1, 2, 3, 4]
    assert study.version != version


def test_a_study_is_read_while_another_process_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FRESH_S", 0.0)
    make(tmp_path, 2)
    (study,) = Studies([f"sqlite:///{tmp_path / 'nas.db'}"]).get(["toy"])
    code = (
        "import sys; from pathlib import Path; from tests.dashboard.studying import make; make(Path(sys.argv[1]), 12)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) as writer:
        while writer.poll() is None:
            numbers = [r.number for r in study.refresh().rows]
            assert len(numbers) == len(set(numbers))
    assert writer.returncode == 0
    assert len(study.refresh().rows) == 14


def test_a_file_that_makes_a_space_is_not_run(tmp_path: Path) -> None:
    (study,) = _with_space(tmp_path, str(tmp_path / "evil.py:SPACE"))
    (tmp_path / "evil.py").write_text("raise SystemExit('ran')")
    assert study.space() is None


def _with_space(folder: Path, space: str) -> list[module.Study]:
    stored = make(folder, 1)
    stored.study.set_user_attr("nas", stored.meta | {"space": space})
    return Studies([f"sqlite:///{folder / 'nas.db'}"]).get(["toy"])
