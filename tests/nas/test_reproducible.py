"""The same command gives the same networks, accuracies and weights; what a study says of how it came about."""

from __future__ import annotations

import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from nas import session
from nas.errors import UserError
from nas.store import META, SCHEMA, Stored, open_study
from tests.nas.commands import line
from tests.nas.searching import search


def searched(folder: Path, threads: int) -> Stored:
    """A search of three trials by the command, in a process of its own."""
    more = ["--trials", "3", "--steps", "6", "--batch-size", "32", "--seed", "5", "--threads", str(threads)]
    subprocess.run(line(folder, *more), cwd=folder, check=True, capture_output=True)
    return open_study(f"sqlite:///{folder / 'results' / 'nas.db'}")


@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_seed_gives_the_same_search(tmp_path: Path, threads: int) -> None:
    first, second = (searched(tmp_path / name, threads) for name in ("first", "second"))

    def told(stored: Stored) -> list[object]:
        front = {c.number for c in stored.front()}
        weights = {c.number: sha256(c.weights.read_bytes()).hexdigest() for c in stored.complete() if c.weights}
        assert set(weights) == front
        curves = [[(p["samples"], p["loss"], p["accuracy"]) for p in c.curve] for c in stored.candidates()]
        return [[(str(c.arch), c.seed, c.accuracy) for c in stored.candidates()], curves, weights]

    assert told(first) == told(second)
    assert len({c.accuracy for c in first.complete()}) > 1


def test_a_study_says_how_it_came_about(tmp_path: Path) -> None:
    meta = searched(tmp_path / "one", 1).meta
    assert set(meta["versions"]) >= {"torch", "optuna", "fvcore", "nas-explorer", "python"}
    assert meta["seed"] == 5
    assert meta["schema"] == SCHEMA
    assert len(meta["data_fingerprint"]) >= 16


def test_the_state_of_the_checkout_is_told_and_nobody_elses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*line: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *line], cwd=tmp_path, check=True, capture_output=True
        )

    installed = tmp_path / "deep" / "nas" / "session.py"
    installed.parent.mkdir(parents=True)
    installed.write_text("")
    git("init")
    git("add", ".")
    git("commit", "-m", "one")
    monkeypatch.setattr(session, "__file__", str(installed))
    assert "git" not in session.versions()  # installed into somebody's project
    monkeypatch.setattr(session, "__file__", str(tmp_path / "deep" / "session.py"))
    clean = session.versions()["git"]
    assert len(clean) == 40
    installed.write_text("changed")
    assert session.versions()["git"] == f"{clean}-dirty"


@pytest.mark.parametrize(("schema", "opens"), [(None, True), (SCHEMA, True), (SCHEMA + 1, False)])
def test_a_study_of_a_newer_release_is_left_alone(tmp_path: Path, schema: int | None, opens: bool) -> None:
    stored = search(tmp_path, "random").stored
    meta = {k: v for k, v in stored.meta.items() if k != "schema"} | ({} if schema is None else {"schema": schema})
    stored.study.set_user_attr(META, meta)
    if opens:
        assert open_study(stored.storage).name == "toy"
        return
    with pytest.raises(UserError, match=f"a study must be of schema {SCHEMA} or older, but toy has {schema}"):
        open_study(stored.storage)
