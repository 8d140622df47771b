"""One small study for all tests of the dashboard, and a client that asks its pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboard.app import create
from dashboard.studies import Studies, Study
from tests.dashboard.asking import Client
from tests.dashboard.studying import make

TRIALS = 40


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A storage with the study `toy`, which no test may change."""
    folder = tmp_path_factory.mktemp("studies")
    make(folder, TRIALS)
    return f"sqlite:///{folder / 'nas.db'}"


@pytest.fixture(scope="session")
def study(storage: str) -> Study:
    return Studies([storage]).get(["toy"])[0]


@pytest.fixture
def client(storage: str, tmp_path: Path) -> Client:
    studies = Studies([storage])
    studies.get(["toy"])  # read at leisure: on a busy machine a page would say that it is reading still
    return Client(create(studies, tmp_path / "exports"))
