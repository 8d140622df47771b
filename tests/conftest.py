"""What every test starts from: one thread for torch, so that two workers on two cores do not fight."""

import os

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def no_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest-xdist tells its workers a terminal's width; commands run from a pipe have none."""
    monkeypatch.delenv("COLUMNS", raising=False)
