"""What every test starts from: one thread for torch, and the same examples of Hypothesis everywhere."""

import os
from collections.abc import Iterator

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch, and for the processes that tests start
os.environ["NAS_CACHE"] = ""  # nothing of a test stays in the user's cache

import pytest
import torch
from hypothesis import settings
from sqlalchemy import Connection, Engine, event

from search_spaces.part import REGISTRY
from tests.skipped import pytest_make_collect_report, pytest_runtest_makereport  # noqa: F401 - hooks

# The first draw of a space reads its lattice, seconds that no single example may be blamed for;
# derandomized, because a test that fails on one machine only helps nobody.
settings.register_profile("everywhere", deadline=None, derandomize=True)
settings.load_profile("everywhere")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """These networks are too small to share out, and two workers on two cores would fight: a command takes all."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def no_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest-xdist tells its workers a terminal's width; commands run from a pipe have none."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def own_parts() -> Iterator[None]:
    """Parts that a test defines are forgotten after it; the package's stay, though a test is the first to need them."""
    before = dict(REGISTRY)
    yield
    for label, part in list(REGISTRY.items()):
        if label not in before and not part.__module__.startswith("search_spaces."):
            del REGISTRY[label]


ENGINES: set[Engine] = set()
"""Those that a connection was made by since the test began."""


@event.listens_for(Engine, "engine_connect")
def _connected(connection: Connection) -> None:
    ENGINES.add(connection.engine)


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Close what storages, which Optuna has no way to close, left open in a file or on a server."""
    yield
    for engine in list(ENGINES):
        if engine.url.database not in (None, "", ":memory:"):
            engine.dispose()
    ENGINES.clear()
