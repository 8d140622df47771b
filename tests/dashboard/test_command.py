"""The command line: what cannot be is said in a sentence, and nothing is ignored in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dashboard import __main__ as command
from nas.errors import UserError


def test_a_report_makes_its_folder(storage: str, tmp_path: Path) -> None:
    page = tmp_path / "no" / "such" / "report.html"
    assert command.main(["--storage", storage, "--export-html", str(page)]) == 0
    assert "Accuracy against FLOPs" in page.read_text(encoding="utf-8")


def test_a_report_that_cannot_be_written_says_so(storage: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for page in (tmp_path / "file" / "report.html", tmp_path):
        with pytest.raises(UserError, match="a report must be written"):
            command.main(["--storage", storage, "--export-html", str(page)])


@pytest.mark.parametrize("port", ["0", "65536", "99999", "-1", "x"])
def test_a_port_is_one_that_there_is(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.parser().parse_args(["--port", port])
    assert "from 1 to 65535" in capsys.readouterr().err


def test_a_named_study_is_the_one_that_is_shown(
    storage: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[Any] = []
    monkeypatch.setattr("dashboard.serving.serve", lambda *args: served.append(args))
    assert command.main(["--storage", storage, "--study", "toy"]) == 0
    assert "http://127.0.0.1:8050/?study=toy " in capsys.readouterr().out
    assert command.main(["--storage", storage, "--study", "toy", "--token", "t"]) == 0
    assert "/?token=t&study=toy " in capsys.readouterr().out
    assert len(served) == 2
    with pytest.raises(UserError, match="other"):
        command.main(["--storage", storage, "--study", "other"])


def test_a_token_s_address_keeps_what_else_it_names(storage: str, tmp_path: Path) -> None:
    from dashboard.app import create
    from dashboard.studies import Studies

    http = create(Studies([storage]), tmp_path, token="right").server.test_client()
    answer = http.get("/?token=right&study=toy")
    assert answer.headers["Location"].endswith("/?study=toy")
