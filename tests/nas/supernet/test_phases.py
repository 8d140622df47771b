"""A search with a supernet, by its command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nas import search
from nas.store import open_study

COMMAND = ["--budget", "20MFLOPs", "--space", "space.py:small", "--data", "fashion-subset", "--threads", "1"]


COMMAND += ["--steps", "2", "--train-resolution", "8", "--batch-size", "16", "--no-export", "--seed", "3"]


def test_the_command_searches_and_fine_tunes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.nas.test_search_command import SPACE, fails

    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.py").write_text(SPACE)
    line = [*COMMAND, "--evaluator", "supernet", "--supernet-share", "0.05", "--timeout", "40s"]
    assert search.main([*line, "--trials", "3", "--json"]) == 0
    said = capsys.readouterr()
    assert "supernet 100%" in said.err
    assert "fine-tuned (trial" in said.err
    stored = open_study("sqlite:///results/nas.db")
    before = [c for c in stored.candidates() if "from" not in c.attrs]
    after = [c for c in stored.candidates() if "from" in c.attrs]
    assert len(before) == 3
    assert after
    assert {c.attrs["from"] for c in after} <= {c.number for c in before}
    by_number = {c.number: c for c in before}
    assert all(c.arch == by_number[c.attrs["from"]].arch and c.curve[-1]["samples"] == 32 for c in after)
    assert json.loads(said.out)["front"]

    assert "evaluator 'supernet', now 'short'" in fails(lambda: search.main([*COMMAND, "--trials", "4"]), capsys)
    assert search.main([*line[:-1], "20s", "--trials", "4", "--json"]) == 0  # trained already: goes on at once
    assert "of it done" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--trials", "3"], "add --timeout 30m"),
        (["--timeout", "9s", "--supernet-share", "1.5"], "between 0 and 1, but got 1.5"),
    ],
)
def test_mistakes_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    from tests.nas.test_search_command import SPACE, fails

    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.py").write_text(SPACE)
    assert said in fails(lambda: search.main([*COMMAND, "--evaluator", "inherit", *more]), capsys)
