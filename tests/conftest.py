"""What every test starts from: one thread for torch, so that two workers on two cores do not fight."""

import os
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, event

from search_spaces.part import REGISTRY

os.environ.setdefault("OMP_NUM_THREADS", "1")


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
