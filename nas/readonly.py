"""Storages opened so that nothing can be written to them, and in a sentence what is wrong with one."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import RDBStorage
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

WAIT_S = 5  # for a writer's transaction


def open_readonly(storage: str) -> RDBStorage:
    """Open a storage that exists so that nothing can be written to it."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", ExperimentalWarning)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    url, kwargs = make_url(storage), dict[str, Any]()
    if url.get_backend_name() == "sqlite":
        path = Path(url.database or "").resolve()
        storage = f"sqlite:///file:{path}?mode=ro&uri=true"
        kwargs = {"connect_args": {"timeout": WAIT_S}}
    elif url.get_backend_name() == "postgresql":
        kwargs = {"connect_args": {"options": "-c default_transaction_read_only=on"}}
    return RDBStorage(storage, engine_kwargs=kwargs, skip_table_creation=True)


def missing(storage: str) -> bool:
    """Whether the storage is an SQLite file that is not there."""
    try:
        url = make_url(storage)
    except ArgumentError:
        return False
    return url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file()


def shown(storage: str) -> str:
    """A storage as a page may show it: without its password."""
    try:
        return make_url(storage).render_as_string(hide_password=True)
    except ArgumentError:
        return storage


def sentence(storage: str, error: BaseException) -> str:
    """What is wrong with a storage, for people."""
    said = str(error.__cause__ or error).splitlines()[0][:200] if str(error) else type(error).__name__
    if "no such table" in said:
        return f"{shown(storage)} is a database, but not one that a search made."
    if "not a database" in said or "malformed" in said:
        return f"{shown(storage)} is damaged or not a database ({said})."
    if "locked" in said:
        return f"{shown(storage)} is being written just now; this page tries again by itself."
    return f"{shown(storage)} cannot be read: {said}"
