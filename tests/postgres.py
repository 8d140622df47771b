"""A real PostgreSQL server for tests: made in a temporary folder, stopped and deleted at the end."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

SYSTEM_USER = "postgres"  # the server refuses to run as root


def binaries() -> Path | None:
    """Where the server's programs are: on the path, or where Debian puts them."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


def _as_user(*command: str) -> None:
    prefix = ["runuser", "-u", SYSTEM_USER, "--"] if os.getuid() == 0 else []
    subprocess.run([*prefix, *command], check=True, capture_output=True, cwd="/", timeout=60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A server that can be stopped and started again in mid-test."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.programs, self.folder, self.port, self.databases = programs, folder, free_port(), 0
        self.url = f"postgresql+psycopg://nas@127.0.0.1:{self.port}/postgres"
        _as_user(str(programs / "initdb"), "-D", str(folder / "data"), "-U", "nas", "-A", "trust", "--no-sync")

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._ctl("start", "-w", "-o", options, "-l", str(self.folder / "log"))

    def stop(self) -> None:
        self._ctl("stop", "-m", "immediate")

    def fresh(self) -> str:
        """The address of a new, empty database."""
        self.databases += 1
        name = f"nas{self.databases}"
        with psycopg.connect(f"postgresql://nas@127.0.0.1:{self.port}/postgres", autocommit=True) as connection:
            connection.execute(f"create database {name}")
        return self.url.removesuffix("postgres") + name

    def _ctl(self, action: str, *more: str) -> None:
        _as_user(str(self.programs / "pg_ctl"), action, "-D", str(self.folder / "data"), *more)


@contextmanager
def launched(programs: Path) -> Iterator[Server]:
    """A server that runs while it is needed."""
    folder = Path(tempfile.mkdtemp(prefix="nas-postgres-"))
    if os.getuid() == 0:
        shutil.chown(folder, SYSTEM_USER)
    server = Server(programs, folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    programs = binaries()
    if programs is None:
        pytest.skip("PostgreSQL is not installed; tests/run.sh installs it on Debian and Ubuntu")
    with launched(programs) as server:
        yield server
