"""A skipped test proves nothing: where `NAS_EVERY_TEST` is set, as by `tests/run.sh`, it fails with its reason."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import TypeVar

import pytest

ASKED = "NAS_EVERY_TEST"
Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _failed((yield))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _failed((yield))


def _failed(report: Report) -> Report:
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get(ASKED):
        reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome, report.longrepr = "failed", f"{ASKED} is set, but this test was not run. {reason}"
    return report
