"""The live page: curves of the trials in flight, and the time left."""

from __future__ import annotations

import time
from pathlib import Path
from random import Random

import pytest
from optuna.trial import TrialState

from dashboard.app import create
from dashboard.figures import front, rungs
from dashboard.pages import live
from dashboard.studies import Studies, Study
from nas.store import Stored
from tests.dashboard.asking import Client, pairs
from tests.dashboard.studying import climb, make, running
from tests.dashboard.test_callbacks import VERSION, said


def opened(folder: Path) -> tuple[Client, Study]:
    studies = Studies([f"sqlite:///{folder / 'nas.db'}"])
    return Client(create(studies, folder)), studies.get(["toy"])[0]


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    return make(tmp_path, 10)


def test_curves_in_flight_stand_against_the_finished_ones(stored: Stored, tmp_path: Path) -> None:
    number = running(stored, Random(1), points=2)
    client, study = opened(tmp_path)
    answer = client("live-curves.figure", version=VERSION)
    traces = {t["name"]: t for t in answer["live-curves"]["figure"]["data"] if "name" in t}
    assert traces[f"trial {number}"]["y"] == [42.0, 57.4]
    assert traces["median"]["x"] == [3000, 6000, 9000, 12000]
    assert f"trial {number} at 57.40 %" in answer["live-curves-said"]["children"]
    seen = answer["live-seen"]["data"]
    assert client("live-curves.figure", version=VERSION, live_seen=seen) == {}, "nothing new, nothing sent"
    stored.study._storage.set_trial_user_attr(stored.study.trials[number]._trial_id, "curve", _longer(stored, number))
    study._read = 0
    answer = client("live-curves.figure", version=VERSION, live_seen=seen)
    assert len(next(t for t in answer["live-curves"]["figure"]["data"] if t.get("name") == f"trial {number}")["y"]) == 3


def _longer(stored: Stored, number: int) -> list[dict[str, float]]:
    curve = list(stored.study.trials[number].user_attrs["curve"])
    return [*curve, {"samples": 9000, "loss": 1.0, "accuracy": 0.658, "seconds": 11.0}]


def test_without_curves_and_limits_the_page_still_stands(stored: Stored, tmp_path: Path) -> None:
    number = running(stored, Random(1))
    client, study = opened(tmp_path)
    answer = client("live-curves.figure", version=VERSION)
    assert "No trial in flight has a learning curve yet." in said(answer)
    assert live.left(study, time.time()) is None
    words = said(client("live-running.children", version=VERSION))
    assert f"Trial {number}" in words
    assert " left." not in words


@pytest.mark.parametrize(
    ("limits", "seconds"),
    [
        ({"trials": None, "until": 1000.0, "begun": 0.0}, 900),
        ({"trials": 15, "until": None, "begun": 0.0}, 5 * 18),
        ({"trials": 15, "until": 130.0, "begun": 0.0}, 30),
        ({"trials": 4, "until": None, "begun": 0.0}, 0),
        ({"trials": None, "until": None, "begun": 0.0}, None),
        ({}, None),
    ],
)
def test_the_time_left_is_the_nearer_of_both_limits(
    stored: Stored, tmp_path: Path, limits: dict[str, float | None], seconds: float | None
) -> None:
    stored.study.set_user_attr("limits", limits)
    running(stored, Random(1))
    _, study = opened(tmp_path)
    now = 100.0  # before the trial began: nothing of it is done
    assert live.left(study, now) == (None if seconds is None else pytest.approx(seconds, abs=1e-6))
    assert ("left" in live.about([study], now)) == (seconds is not None)


def test_a_search_that_ended_has_no_time_left(stored: Stored, tmp_path: Path) -> None:
    stored.study.set_user_attr("limits", {"trials": 50, "until": None, "begun": 0.0})
    _, study = opened(tmp_path)
    assert live.left(study, 0.0) is None


def test_interrupted_trials_do_not_count_as_done(stored: Stored, tmp_path: Path) -> None:
    stored.study.set_user_attr("limits", {"trials": 12, "until": None, "begun": 0.0})
    running(stored, Random(1))
    again = stored.study.ask()
    again.set_user_attr("arch", stored.candidates()[0].attrs["arch"])
    again.set_user_attr("reason", "interrupted")
    stored.study.tell(again, state=TrialState.FAIL)
    _, study = opened(tmp_path)
    usual = [r.seconds for r in study.rows if r.seconds]
    assert live.left(study, 100.0) == pytest.approx(2 * sum(usual) / len(usual), rel=1e-6)


def test_rungs_are_shown_by_how_far_candidates_got(tmp_path: Path) -> None:
    stored = climb(tmp_path)
    studies = Studies([f"sqlite:///{tmp_path / 'nas.db'}"])
    study = studies.get(["climbing"])[0]
    first, second, last = rungs.data([study])
    assert (first.images, first.went_on, first.stopped, first.training) == (1280, 10, 17, 1)
    assert (second.went_on, second.stopped, second.training) == (3, 6, 1)
    assert (last.went_on, last.stopped, last.training) == (3, 0, 0)
    client = Client(create(studies, tmp_path))
    version = {"climbing": "1"}
    answer = client("live-rungs.figure", version=version)
    assert answer["live-rungs-card"]["style"] == {}
    assert "rung 2: 3 went on, 6 stopped, 1 in training" in answer["live-rungs-said"]["children"]
    words = said(client("live-running.children", version=version))
    assert ", rung 1 of 3" in words
    assert ", rung 2 of 3" in words
    counts = pairs(client("live-facts.children", version=version))
    assert [counts[kind] for kind in ("Trained", "Stopped early", "Failed", "Running")] == ["3", "23", "0", "2"]
    layer = front.layer(study, "flops")
    assert len(layer.trained.numbers) == 3
    assert len(layer.stopped.numbers) == 17 + 6, "each candidate once"
    assert len(stored.candidates()) == 27 + 1


def test_a_candidate_that_goes_on_leaves_its_earlier_row(tmp_path: Path) -> None:
    stored = climb(tmp_path)
    study = Studies([f"sqlite:///{tmp_path / 'nas.db'}"]).get(["climbing"])[0]
    born, rows = study.born, len(study.rows)
    stopped = next(c for c in stored.candidates() if c.state == "stopped" and c.rung == 1)
    going = stored.study.ask()
    for name, value in {**stopped.attrs, "promotes": stopped.number}.items():
        going.set_user_attr(name, value)
    study._read = 0
    assert stopped.number not in {row.number for row in study.refresh().rows}
    assert (len(study.rows), study.born != born) == (rows - 1, True)
    going.set_user_attr("reason", "worker died")
    stored.study.tell(going, state=TrialState.FAIL)
    study._read = 0
    assert stopped.number in {row.number for row in study.refresh().rows}
    assert study.candidate(stopped.number) is not None


def test_without_rungs_nothing_is_said_of_them(stored: Stored, tmp_path: Path) -> None:
    client, _ = opened(tmp_path)
    assert client("live-rungs.figure", version=VERSION)["live-rungs-card"]["style"] == {"display": "none"}
    assert '"Stopped early"' not in said(client("live-facts.children", version=VERSION))
