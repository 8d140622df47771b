"""Who may ask, and what goes over the wire."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import brotli
import pytest

from dashboard import __main__ as command
from dashboard import pages, report, serving
from dashboard.app import create
from dashboard.studies import Studies, Study
from nas.errors import UserError
from nas.words import short
from search_spaces import cost
from tests.dashboard.asking import HEADERS

PATHS = ("/", "/trials", "/_dash-layout", "/_dash-dependencies", "/export/x", "/assets/dashboard.css")


def test_another_host_name_is_refused(storage: str, tmp_path: Path) -> None:
    """A page elsewhere that points its own name at this machine (DNS rebinding) reads nothing."""
    http = create(Studies([storage]), tmp_path).server.test_client()
    for path in PATHS:
        assert http.get(path, headers={"Host": "evil.example:8050"}).status_code == 403
    for host in ("127.0.0.1:8050", "localhost:8050", "[::1]:8050", "localhost"):
        assert http.get("/", headers={"Host": host}).status_code == 200


def test_a_token_is_asked_of_every_request(storage: str, tmp_path: Path) -> None:
    app = create(Studies([storage]), tmp_path, token="right")
    http = app.server.test_client()
    for path in PATHS:
        assert http.get(path).status_code == 401
        assert http.get(f"{path}?token=wrong").status_code == 401
    assert http.post("/_dash-update-component", json={}).status_code == 401
    answer = http.get("/?token=right")
    assert answer.status_code == 302
    assert "right" not in answer.headers["Location"]
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    assert http.get("/").status_code == 200


def test_answers_are_compressed_and_may_ask_nothing_of_other_hosts(storage: str, tmp_path: Path) -> None:
    http = create(Studies([storage]), tmp_path).server.test_client()
    for path in ("/assets/dashboard.css", "/_dash-layout"):
        plain = http.get(path, headers=HEADERS)
        packed = http.get(path, headers=HEADERS | {"Accept-Encoding": "gzip"})
        assert gzip.decompress(packed.data) == plain.data
        smallest = http.get(path, headers=HEADERS | {"Accept-Encoding": "gzip, br"})
        assert brotli.decompress(smallest.data) == plain.data
        assert len(smallest.data) < len(packed.data) < len(plain.data)
        assert "default-src 'self'" in packed.headers["Content-Security-Policy"]
        plain.close(), packed.close(), smallest.close()
    page = http.get("/", headers=HEADERS).text
    assert "http://" not in page
    assert "https://" not in page


def test_scripts_come_with_the_page_that_needs_them(storage: str, tmp_path: Path) -> None:
    """The first answer names them, and holds neither the whole of plotly.js nor the grid."""
    http = create(Studies([storage]), tmp_path).server.test_client()
    page = http.get("/", headers=HEADERS).text
    told = json.loads(page.partition('id="loading" type="application/json">')[2].partition("</script>")[0])
    assert told["pages"]["/"] == ["basic"]
    assert set(told["pages"]["/trials"]) == {"plotly", "grid"}
    assert set(told["pages"]) == {page.PATH for page in pages.pages()}
    for name, address in told["scripts"].items():
        assert f'src="{address}"' not in page
        answers = [http.get(address, headers=HEADERS | {"Accept-Encoding": kind}) for kind in ("br", "")]
        packed, plain = answers
        assert packed.headers["Content-Encoding"] == "br"
        assert brotli.decompress(packed.data) == plain.data
        assert b"plotly.js" in plain.data[:400] or name == "grid"
        assert "immutable" in packed.headers["Cache-Control"]
        packed.close(), plain.close()


@pytest.mark.parametrize("token", ["", "right"])
def test_scripts_are_compressed_before_a_browser_asks(storage: str, tmp_path: Path, token: str) -> None:
    serving._kept.cache_clear()
    server = create(Studies([storage]), tmp_path, token).server
    serving.prepare(server, token)
    compressed = serving._kept.cache_info().misses
    assert compressed >= 8
    serving.prepare(server, token)
    assert serving._kept.cache_info().misses == compressed


def test_a_report_needs_no_server(storage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "report.html"
    assert command.main(["--storage", storage, "--export-html", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert "Accuracy against FLOPs" in text
    assert "toy: the best network" in text
    assert not re.search(r'<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)="(?:https?:)?//', text)
    assert capsys.readouterr().out.strip() == str(page)


def test_a_report_tells_of_the_most_accurate_first(study: Study) -> None:
    text = report.document([study], report.figures([study]))
    best, *_ = ranked = [study.columns("flops").rows[i] for i in reversed(study.columns("flops").front)]
    assert best.accuracy == max(row.accuracy or 0 for row in study.rows)
    assert f"toy: the best network, trial {best.number}" in text
    lines = re.findall(r"<tr>(?!<td col)(.*?)</tr>", text)
    heads, *rows = (re.findall(r"<t[hd]>(.*?)</t[hd]>", line) for line in lines)
    assert heads == ["Network", "Accuracy", "FLOPs", "MACs", "Params"]
    for row, cells in zip(ranked, rows, strict=True):
        own = cost(row.arch)
        accuracy = f"{100 * (row.accuracy or 0):.2f} %"
        assert cells == [f"trial {row.number}", accuracy, short(own.flops), short(own.macs), short(own.params)]


def test_a_report_of_a_study_that_is_not_there_says_what_is(storage: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="toy"):
        command.main(["--storage", storage, "--study", "other", "--export-html", str(tmp_path / "x.html")])
    with pytest.raises(UserError, match="no storage"):
        command.main(["--storage", f"sqlite:///{tmp_path}/none.db", "--export-html", str(tmp_path / "x.html")])
