"""Latency and the peak of activations stand wherever the other costs do, where a study has them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import optuna
import pytest

from dashboard.app import create
from dashboard.figures import parallel
from dashboard.studies import Studies, Study
from nas.store import create_study
from tests.dashboard.asking import Client
from tests.dashboard.studying import feasible, make, meta, trial
from tests.dashboard.test_callbacks import VERSION, said


@pytest.fixture
def timed(tmp_path: Path) -> tuple[Client, Study]:
    """A study whose trials have a latency."""
    about = meta(tmp_path / "toy", budget="300MFLOPs, 8ms@cpu")
    url, rng, fits = f"sqlite:///{tmp_path / 'nas.db'}", Random(0), feasible()
    stored = create_study(url, "toy", about, optuna.samplers.RandomSampler(0))
    for number in range(14):
        made, begun = trial(fits, number, rng)
        made.user_attrs = {**made.user_attrs, "latency_ms": 4.0 + number / 8}
        made.datetime_start, made.datetime_complete = begun, begun + timedelta(seconds=18)
        stored.study.add_trial(made)
    studies = Studies([url])
    return Client(create(studies, tmp_path)), studies.get(["toy"])[0]


def columns(client: Client) -> dict[str, Any]:
    found = client("trials-grid.rowData", version=VERSION)["trials-grid"]["columnDefs"]
    return {column["field"]: column["headerName"] for column in found}


def test_the_grid_and_its_csv_have_both(timed: tuple[Client, Study]) -> None:
    client, study = timed
    assert columns(client)["l"] == "Latency (ms)"
    assert columns(client)["k"] == "Peak act. (M)"
    row = client("trials-grid.rowData", version=VERSION)["trials-grid"]["rowData"][3]
    assert row["l"] == 4.375
    assert row["k"] == pytest.approx(study.rows[3].cost.peak_activations / 1e6, rel=1e-3)
    content = client("trials-csv.data", "trials-save.n_clicks", trials_save=1, version=VERSION)["trials-csv"]["data"]
    head, *lines = content["content"].splitlines()
    assert lines[3].split(",")[head.split(",").index("latency_ms")] == "4.375"


def test_the_panel_has_both(timed: tuple[Client, Study]) -> None:
    client, _ = timed
    words = said(client("detail.children", picked={"study": "toy", "trial": 3}))
    assert '"Latency"' in words
    assert "4.375 ms" in words
    assert "Peak activations" in words


def test_parallel_coordinates_have_both(timed: tuple[Client, Study]) -> None:
    names = [label for label, _ in parallel.data(timed[1].rows).columns]
    assert names[-1] == "Latency (ms)", "the places of the others are those without it"
    assert "Peak (M)" in names


def test_without_latencies_nothing_is_said_of_them(client: Client, study: Study) -> None:
    assert "l" not in columns(client)
    assert "k" in columns(client)
    assert "Latency (ms)" not in [label for label, _ in parallel.data(study.rows).columns]
    assert '"Latency"' not in said(client("detail.children", picked={"study": "toy", "trial": 3}))


def test_some_latencies_among_none_are_no_axis(timed: tuple[Client, Study], tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    make(tmp_path / "other", 14)
    others = Studies([f"sqlite:///{tmp_path / 'other' / 'nas.db'}"]).get(["toy"])[0].rows
    assert "Latency (ms)" not in [label for label, _ in parallel.data([*timed[1].rows, *others]).columns]
