"""Noise is measured again, and then refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.errors import UserError
from nas.latency.build import line
from nas.latency.measure import Noisy, Plan, measure, passes
from tests.nas.latency.made import scripted


def test_passes_that_waited_for_the_core_are_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = scripted(monkeypatch, (10, 10), (17, 10), (12, 12), (11, 10))
    timing = measure(clock, Plan(warmup=0, repeats=4, spread=1), own_thread=True)
    assert (timing.median_ms, timing.passes, timing.disturbed) == (pytest.approx(11), 4, 3)
    assert (timing.low_ms, timing.high_ms) == (pytest.approx(10), pytest.approx(12))


def test_other_threads_leave_no_clock_to_tell_by(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = scripted(monkeypatch, (10, 1))
    assert not any(one.disturbed for one in passes(clock, Plan(repeats=3), own_thread=False))
    with pytest.raises(UserError, match="clock is that of one thread"):
        passes(clock, Plan(clock="cpu"), own_thread=False)


def test_the_cpu_clock_reads_the_time_on_the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    timing = measure(scripted(monkeypatch, (30, 10)), Plan(clock="cpu", repeats=5), own_thread=True)
    assert (timing.median_ms, timing.disturbed) == (pytest.approx(10), 0)


def test_noise_is_measured_again_and_then_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    noisy, quiet = [(10, 10), (20, 20)] * 5, [(10, 10)] * 10
    plan = Plan(warmup=0, repeats=10, rounds=3)
    assert measure(scripted(monkeypatch, *noisy, *quiet), plan, own_thread=True).round == 2
    with pytest.raises(Noisy, match=r"10% of the median, but 3 rounds ended with 10 to 20 ms around 15 ms"):
        measure(scripted(monkeypatch, *noisy), plan, own_thread=True)
    with pytest.raises(Noisy, match="no two passes were undisturbed"):
        measure(scripted(monkeypatch, (20, 10)), replace(plan, seconds=0.1), own_thread=True)


@given(
    st.floats(0.5, 2),
    st.floats(0, 5),
    st.lists(st.floats(1, 50), min_size=3, max_size=8, unique_by=lambda x: round(x, 2)),
)
def test_a_line_is_found(slope: float, constant: float, xs: list[float]) -> None:
    assert line([(x, constant + slope * x) for x in xs]) == (pytest.approx(slope), pytest.approx(constant, abs=1e-6))
