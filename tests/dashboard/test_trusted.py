"""Which network the dashboard calls the best, and how far it says that short training can be trusted."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from dashboard import app, report
from dashboard.app import create
from dashboard.figures import front
from dashboard.studies import Studies, Study
from nas import trust
from nas.candidates import FROM
from nas.store import META, Stored
from tests.dashboard.asking import Client
from tests.dashboard.studying import feasible, make, trial
from tests.dashboard.test_callbacks import VERSION, said

TAU = "Kendall's τ"


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    """A study in which longer training found another network the best."""
    stored = make(tmp_path, 30)
    ranked = stored.front()
    for one, long in ((ranked[-1], 0.70), (ranked[-3], 0.8512), (ranked[0], 0.66)):
        stored.note_longer({"number": one.number, "long": long, "samples": 24000, "seconds": 30.0})
    return stored


def opened(folder: Path) -> tuple[Client, Study]:
    studies = Studies([f"sqlite:///{folder / 'nas.db'}"])
    return Client(create(studies, folder)), studies.get(["toy"])[0]


def test_the_best_is_what_the_command_line_takes(stored: Stored, tmp_path: Path) -> None:
    client, study = opened(tmp_path)
    best = stored.best().number
    assert best != stored.front()[-1].number
    assert app.best([study]) == {"study": "toy", "trial": best}
    assert client("picked.data", "url.search", version=VERSION)["picked"]["data"]["trial"] == best
    assert f"toy: the best network, trial {best}" in [heading for heading, _, _ in report.figures([study]).values()]
    offered = client("networks-chosen.options", version=VERSION)["networks-chosen"]["options"]
    assert offered[0]["value"] == f"toy/{best}"
    live = said(client("live-facts.children", version=VERSION))
    assert f"{100 * (stored.best().accuracy or 0):.2f} %" in live
    assert "85.12 % trained longer" in live


def test_the_front_page_tells_what_longer_training_said(stored: Stored, tmp_path: Path) -> None:
    client, _ = opened(tmp_path)
    answer = client("front-trust.children", version=VERSION)
    assert answer["front-trust-card"]["style"] == {}
    words = said(answer["front-trust"])
    verdict = trust.verdict(trust.known(stored))
    assert f"{TAU} {verdict.tau:+.2f} (95 % {verdict.low:+.2f} to {verdict.high:+.2f})" in words
    for part in ("85.12 %", "70.00 %", f"Open trial {stored.best().number} of toy"):
        assert part in words
    about = client("front-about.children", version=VERSION, front_metric="flops")
    assert f"the best, 85.12 % after longer training, is trial {stored.best().number}" in said(about)


def test_those_trained_longer_are_ringed_on_the_front(stored: Stored, tmp_path: Path) -> None:
    _, study = opened(tmp_path)
    (layer,) = front.data([study]).layers
    assert sorted(layer.longer.numbers) == sorted(row["number"] for row in stored.longer())
    assert sorted(layer.after) == [66.0, 70.0, 85.12]
    ring = front.plot(front.data([study])).data[front.KINDS.index("longer")]
    assert "%{text}" in ring.hovertemplate
    assert len(ring.text) == 3


def test_the_panel_tells_it_too(stored: Stored, tmp_path: Path) -> None:
    client, _ = opened(tmp_path)
    best = stored.best().number
    words = said(client("detail.children", picked={"study": "toy", "trial": best}))
    for part in ("85.12 % after 24,000 images", TAU, '"state best"'):
        assert part in words
    other = next(c.number for c in stored.complete() if c.number not in {row["number"] for row in stored.longer()})
    words = said(client("detail.children", picked={"study": "toy", "trial": other}))
    assert "after 24,000 images" not in words
    assert '"state best"' not in words


def test_the_report_tells_it_too(stored: Stored, tmp_path: Path) -> None:
    _, study = opened(tmp_path)
    page = report.document([study], report.figures([study]))
    assert "Kendall&#x27;s τ" in page
    assert "85.12 %" in page
    assert "longer training" in page


def test_longer_trainings_that_come_later_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.studies.FRESH_S", 0.0)
    stored = make(tmp_path, 12)
    client, study = opened(tmp_path)
    answer = client("front-trust.children", version=VERSION)
    assert answer["front-trust-card"]["style"] == {"display": "none"}
    before, ranked = study.version, stored.front()
    for one, long in ((ranked[-1], 0.6), (ranked[0], 0.9)):
        stored.note_longer({"number": one.number, "long": long, "samples": 24000, "seconds": 30.0})
    assert study.refresh().version != before
    assert study.best is not None
    assert study.best.number == stored.best().number == ranked[0].number
    assert TAU in said(client("front-trust.children", version=VERSION))
    stored.note_training(ranked[0].arch, {"test_accuracy": 0.91})
    assert study.refresh().version != before
    (layer,) = front.data([study]).layers
    assert layer.final.accuracies == (91.0,)


@pytest.mark.parametrize("evaluator", ["short", "supernet"])
def test_the_best_is_kept_up_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, evaluator: str) -> None:
    monkeypatch.setattr("dashboard.studies.FRESH_S", -1.0)
    stored = make(tmp_path, 2)
    stored.study.set_user_attr(META, stored.meta | {"evaluator": evaluator})
    _, study = opened(tmp_path)
    fits, rng, found = feasible(), Random(5), set()
    for number in range(2, 30):
        finished, _ = trial(fits, number, rng)
        if evaluator == "supernet" and number % 5 == 3:  # fine-tuned: less accurate, and counts before what was lent
            finished.set_user_attr(FROM, 0)
            finished.values = [0.5 + number / 1000, finished.values[1]]
        stored.study.add_trial(finished)
        best = study.refresh().best
        assert best is not None
        assert best.number == stored.best().number
        found.add(best.number)
    assert len(found) > 1


def test_without_a_trained_network_nothing_is_the_best(tmp_path: Path) -> None:
    make(tmp_path, 0)
    _, study = opened(tmp_path)
    assert study.best is None
    assert app.best([study]) is None
