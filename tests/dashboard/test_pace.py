"""How fast a search goes, of one worker and of several."""

from __future__ import annotations

import pytest

from dashboard.figures import throughput
from dashboard.studies import Row
from tests.dashboard.test_figures import row


def worked(workers: int, trials: int, seconds: float = 60.0) -> list[Row]:
    """Workers beside each other, a trial a minute each."""
    return [
        row(i, 0.5, begun=i // workers * seconds, ended=(i // workers + 1) * seconds, seconds=seconds)
        for i in range(trials)
    ]


@pytest.mark.parametrize("workers", [1, 4, 7])
def test_several_workers_are_counted_over_the_time_that_passed(workers: int) -> None:
    assert throughput.hourly(worked(workers, 12 * workers)) == pytest.approx(60 * workers)


def test_bars_agree_with_the_pace() -> None:
    pace = throughput.data(worked(4, 96))
    assert sum(pace.good) / (pace.minutes * len(pace.good) / 60) == pytest.approx(240, rel=0.01)


def test_pauses_between_runs_are_left_out() -> None:
    late = [row(9 + i, 0.5, begun=1e6 + 60 * i, ended=1e6 + 60 * (i + 1), seconds=60.0) for i in range(5)]
    assert throughput.hourly([*worked(1, 9), *late]) == pytest.approx(60, rel=0.1)


def test_quick_trials_with_idle_time_between_are_not_faster_than_they_come() -> None:
    rows = [row(i, 0.5, begun=60.0 * i, ended=60.0 * i + 15, seconds=15.0) for i in range(30)]
    assert throughput.hourly(rows) == pytest.approx(60, rel=0.05)


def test_nothing_ended_has_no_pace() -> None:
    assert throughput.hourly([]) is None
    assert throughput.hourly([row(0, 0.5, begun=None, ended=None)]) is None
    assert throughput.hourly([row(0, 0.5, begun=0.0, ended=60.0, seconds=60.0)]) == pytest.approx(60)
