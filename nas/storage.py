"""Optuna's database storage, made for many workers: it waits for a server that is away, and claims are atomic.

Every call that fails because the database does not answer is repeated with growing pauses. Repeating is safe:
values are set, not added; a finished trial that is finished again with the same values is done; a trial that was
made but whose number got lost stays behind as running without a worker, and `nas.recovery` clears such trials away.

On SQLite a transaction that writes takes the write lock before it reads (BEGIN IMMEDIATE). Python's sqlite3 would
take it at the first write, so that two workers could read one waiting trial and both take it up.

Each transaction waits for the disk. Optuna makes one of every parameter; here a trial's parameters are written with
what is written next (as Optuna's rules for storages allow), and several values of a trial in one go (`note`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Container, Mapping, Sequence
from functools import partial, wraps
from random import random
from sys import intern
from threading import local
from traceback import clear_frames
from typing import Any
from weakref import finalize

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, event, select
from sqlalchemy.exc import (
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    PendingRollbackError,
    SQLAlchemyError,
)
from sqlalchemy.orm import Query, aliased

from nas.patience import FIRST_PAUSE_S, PATIENCE_S, patiently

BEGINNERS = 64  # that may make the tables of one storage at the same moment

SQLITE_PASSING = ("locked", "busy", "disk is full", "readonly database", "disk I/O error", "unable to open database")
"""Words of SQLite's errors that pass: other workers' transactions, and a disk that cannot be written for now."""
Attr = models.TrialUserAttributeModel

READS = (
    "get_study_id_from_name", "get_study_name_from_id", "get_study_directions", "get_study_user_attrs",
    "get_study_system_attrs", "get_all_studies", "get_trial", "get_trial_id_from_study_id_trial_number",
    "_get_trials", "get_n_trials",
)  # fmt: skip
WRITES = (
    "create_new_study", "delete_study", "set_study_user_attr", "set_study_system_attr", "_create_new_trial",
    "set_trial_intermediate_value", "set_trial_system_attr",
)  # fmt: skip


class SharedStorage(RDBStorage):
    """An RDB storage that outlives restarts of its server and that workers may claim from."""

    def __init__(self, url: str, engine_kwargs: dict[str, Any], patience_s: float = PATIENCE_S) -> None:
        """Raise what SQLAlchemy raises when the database cannot be reached now: the first call is not patient."""
        self.patience_s = patience_s
        self._mode = local()
        self._unwritten: list[tuple[Any, ...]] = []  # arguments of `_set_trial_param`
        self._held: dict[tuple[str, BaseDistribution], BaseDistribution] = {}
        super().__init__(url, engine_kwargs)
        if self.engine.name == "sqlite":
            self.engine.dispose()  # connections made so far begin transactions in sqlite3's own way
            event.listen(self.engine, "connect", _begin_by_hand)
            event.listen(self.engine, "begin", partial(_begin, self._mode))
        finalize(self, self.engine.dispose)  # Optuna's storages have no way to be closed

    def patiently(self, call: Callable[[], Any], writes: bool) -> Any:
        """What `call` returns, once the database answers; raise `Away` when that takes too long."""
        before, self._mode.writes = getattr(self._mode, "writes", False), writes
        try:
            return patiently(call, _passing, "the storage", self.patience_s)
        except KeyboardInterrupt as interrupt:
            clear_frames(interrupt.__traceback__)  # a half-read cursor in them would keep SQLite's lock
            raise
        finally:
            self._mode.writes = before

    def _build_frozen_trial_from_trial_model(self, trial: models.TrialModel) -> FrozenTrial:
        """As Optuna's, but what all trials have in common is held once: a search keeps thousands of them."""
        built = super()._build_frozen_trial_from_trial_model(trial)
        kinds = {intern(name): kind for name, kind in built.distributions.items()}
        built.distributions = {name: self._held.setdefault((name, kind), kind) for name, kind in kinds.items()}
        built.params = {intern(name): value for name, value in built.params.items()}
        built.user_attrs = {intern(name): value for name, value in built.user_attrs.items()}
        return built

    def _set_trial_param(self, *args: Any) -> None:
        self._unwritten.append(args)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        self.note(trial_id, {key: value})

    def note(self, trial_id: int, values: Mapping[str, Any]) -> None:
        """Keep values with a running trial, all of them or none, and before them the parameters not written yet."""
        try:
            self.patiently(lambda: self._note(trial_id, values), writes=True)
        finally:
            self._unwritten.clear()

    def _note(self, trial_id: int, values: Mapping[str, Any]) -> None:
        try:
            with self.scoped_session() as session, session.begin():
                for param in self._unwritten:
                    self._set_trial_param_without_commit(session, *param)
                for key, value in values.items():
                    self._set_trial_attr_without_commit(session, Attr, trial_id, key, value)
        except IntegrityError:  # of parameters that are there: all was written, and the answer lost
            if not self._unwritten:
                raise

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """As Optuna's; raise `UpdateFinishedTrialError` where another worker finished the trial."""
        self._write()
        finish, calls = super().set_trial_state_values, 0

        def call() -> bool:
            nonlocal calls
            calls += 1
            return finish(trial_id, state, values)

        try:
            done: bool = self.patiently(call, writes=True)
        except UpdateFinishedTrialError:
            found = self.get_trial(trial_id)
            if calls == 1 or found.state != state or found.values != (list(values) if values is not None else None):
                raise
            return True  # by the first call, whose answer was lost
        return done

    def claim(
        self, trial_id: int, text: str, again: Container[int] = (), most: int | None = None, unless: Sequence[str] = ()
    ) -> str:
        """Note `text` as the trial's architecture and return '', or 'taken' or 'enough' where that may not be.

        In one transaction under the study's lock: of all workers that share the storage one alone gets a text.
        again: numbers of trials that this one repeats or goes on from, which may have had it. most: texts that
        a study may have, not counting those of trials that failed for a reason in `unless`.
        """
        self._write()
        answer: str = self.patiently(lambda: self._claim(trial_id, text, again, most, unless), writes=True)
        return answer

    def _write(self) -> None:
        """Write the parameters that wait for the next write."""
        if self._unwritten:
            self.note(self._unwritten[0][0], {})

    def _claim(self, trial_id: int, text: str, again: Container[int], most: int | None, unless: Sequence[str]) -> str:
        as_json = json.dumps(text)
        with self.scoped_session() as session, session.begin():
            trial = models.TrialModel.find_or_raise_by_id(trial_id, session)
            study: Any = trial.study_id
            models.StudyModel.find_or_raise_by_id(study, session, for_update=True)
            known = (
                session.query(models.TrialModel)
                .join(Attr, Attr.trial_id == models.TrialModel.trial_id)
                .filter(models.TrialModel.study_id == trial.study_id, Attr.key == "arch")
            )
            holders = [t.number for t in known.filter(Attr.value_json == as_json)]
            if trial.number in holders:
                return ""  # the answer of a first call was lost
            if any(number not in again for number in holders):
                return "taken"
            if most is not None and _texts(known, as_json, unless) >= most:
                return "enough"
            session.add(Attr(trial_id=trial_id, key="arch", value_json=as_json))
            return ""


def _texts(known: Query[Any], but: str, unless: Sequence[str]) -> int:
    """How many architectures trials have, but for `but` and those of trials broken for a reason in `unless`."""
    reason = aliased(Attr)
    broken = (
        select(reason.trial_id)
        .where(reason.trial_id == models.TrialModel.trial_id, reason.key == "reason")
        .where(reason.value_json.in_([json.dumps(said) for said in unless]))
        .where(models.TrialModel.state == TrialState.FAIL)
    )
    others = known.filter(Attr.value_json != but, ~broken.exists())
    count: int = others.with_entities(Attr.value_json).distinct().count()
    return count


def open_shared(url: str, engine_kwargs: dict[str, Any]) -> SharedStorage:
    """The storage at `url`; its tables are made where they are missing, also when several workers begin at once."""
    for _ in range(BEGINNERS):
        try:
            return SharedStorage(url, engine_kwargs)
        except (SQLAlchemyError, StorageInternalError) as error:
            cause = error.__cause__ if isinstance(error, StorageInternalError) else error
            if not isinstance(cause, IntegrityError) and "already exists" not in str(cause):
                raise
            time.sleep(FIRST_PAUSE_S * random())  # another made that table since this one looked
    return SharedStorage(url, engine_kwargs)


def shared(study: Study) -> SharedStorage:
    """The storage of a study that `nas.store` opened."""
    cached: Any = study._storage  # Optuna wraps a database in a cache
    storage: SharedStorage = cached._backend
    return storage


def _begin_by_hand(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # sqlite3 opens no transactions of its own


def _begin(mode: local, connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if getattr(mode, "writes", False) else "BEGIN")


def _passing(error: Exception) -> str:
    """What a database says that is away, busy or on a full disk; '' where something is wrong with a call."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    if isinstance(cause, PendingRollbackError):
        return "its connection broke"
    if not isinstance(cause, DBAPIError):
        return ""
    said = str(cause.orig)
    if "sqlite3" in type(cause.orig).__module__:
        passes = any(words in said for words in SQLITE_PASSING)
    else:
        passes = cause.connection_invalidated or isinstance(cause, (OperationalError, InterfaceError))
    return said.splitlines()[0].strip()[:200] if passes else ""


def _patient(name: str, writes: bool) -> Callable[..., Any]:
    method = getattr(RDBStorage, name)

    @wraps(method)
    def patient(self: SharedStorage, *args: Any, **kwargs: Any) -> Any:
        self._write()
        return self.patiently(lambda: method(self, *args, **kwargs), writes)

    return patient


for _name in READS:
    setattr(SharedStorage, _name, _patient(_name, writes=False))
for _name in WRITES:
    setattr(SharedStorage, _name, _patient(_name, writes=True))
