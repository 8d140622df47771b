"""The studies that the dashboard shows: opened for reading only, kept in memory, refreshed by what is new.

A browser names a study by its key, which is looked up here and is never part of a path or a URL of a storage.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import RLock, Thread
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial

from dashboard import fronts
from nas.candidates import UNFINISHED, Candidate
from nas.errors import UserError
from nas.readonly import missing, open_readonly, sentence, shown
from nas.store import Stored, load, study_names
from nas.trust import Pair, Verdict, known, verdict
from search_spaces.arch import Arch
from search_spaces.budget import Budget
from search_spaces.cost import Cost
from search_spaces.errors import LanguageError
from search_spaces.space import Space
from search_spaces.spaces import find

FRESH_S = 0.5  # a study is read at most this often, however many pages are open
PATIENCE_S = 0.7  # for a study that is read for the first time
LOOK_S = 4.0  # as FRESH_S, for new studies
FINAL = ("complete", "failed", "stopped")


@dataclass(frozen=True)
class Row:
    """A trial as the pages need it."""

    number: int
    state: str  # complete, stopped, failed, running, waiting
    arch: Arch
    cost: Cost
    accuracy: float | None
    reason: str
    seconds: float | None
    begun: float | None
    ended: float | None
    latency_ms: float | None
    proposals: dict[str, int] = field(repr=False)
    params: dict[str, Any] = field(repr=False)
    curve: Sequence[Mapping[str, float]] = field(default=(), repr=False)
    """So far, where the trial is running."""
    rungs: Sequence[Mapping[str, float]] = field(default=(), repr=False)
    promotes: int | None = None
    """The stopped trial that it goes on from."""

    def metric(self, name: str) -> float | None:
        """A cost by its name, `latency_ms` among them."""
        found: float | None = self.latency_ms if name == "latency_ms" else getattr(self.cost, name)
        return found


@dataclass(frozen=True)
class Columns:
    """Trained networks that have a metric, in the order they ended; `front` are places in it, by ascending cost."""

    rows: list[Row]
    accuracies: NDArray[np.float64]
    costs: NDArray[np.float64]
    front: list[int]


def _columns(rows: list[Row], metric: str) -> Columns:
    kept = [(r, r.accuracy or 0.0, r.metric(metric)) for r in rows if r.state == "complete"]
    trained = [(row, accuracy, cost) for row, accuracy, cost in kept if cost is not None]
    accuracies, costs = np.array([a for _, a, _ in trained]), np.array([c for _, _, c in trained], dtype=float)
    return Columns([r for r, _, _ in trained], accuracies, costs, fronts.front(accuracies, costs))


class Study:
    """A study in memory. `rows` are its finished trials in the order they were seen.

    That never changes, but where another trial goes on from one that stopped, which then stands for both, or where
    networks were trained longer or in full: `born` is another from then on, and pages draw anew.

    `open` are the others. `run` is what the latest run said of its end: `trials` the study shall have, `until` when.
    `longer` are the networks that were trained longer, by number; `trust` is how alike the two rankings are.
    """

    def __init__(self, key: str, stored: Stored) -> None:
        self.key, self.stored, self.name = key, stored, stored.name
        self.rows: list[Row] = []
        self.open: list[Row] = []
        self.run: Mapping[str, Any] = {}
        self.longer: Mapping[int, Pair] = {}
        self.trust: Verdict | None = None
        self.trainings: Mapping[str, Any] = {}
        self._best: int | None = None
        self._judged = ""
        self._highest = 0.0
        self._noted: tuple[list[Any], dict[str, Any]] = [], {}
        self._ended: list[Row] = []
        self._passed: set[int | None] = set()
        self._seen: set[int] = set()
        self._read = 0.0
        self._columns: dict[str, tuple[int, Columns]] = {}
        self._lock = RLock()
        self.born = uuid4().hex[:8]

    @property
    def meta(self) -> dict[str, Any]:
        return self.stored.meta

    @property
    def about(self) -> str:
        """What was searched, how far and on what: `mobile within 300MFLOPs, on fashion-subset`."""
        budget = self.meta.get("budget")
        return f"{self.meta['space']}{f' within {budget}' if budget else ''}, on {self.meta['data']}"

    @property
    def training(self) -> dict[str, Any]:
        """What accuracies and costs depend on beside the network and the seed: alike in studies that compare."""
        meta = self.meta
        return {
            "space": meta["space"],
            "data": (meta["data"], meta.get("data_fingerprint")),
            "recipe": {name: value for name, value in meta["recipe"].items() if name != "seed"},
            "evaluator": meta.get("evaluator", "short"),
            "deployment": (meta.get("resolution"), meta["in_channels"], meta["num_classes"]),
        }

    @property
    def limits(self) -> dict[str, float]:
        """The budget's limits by metric; none where it cannot be read."""
        try:
            limits = {name: float(limit) for name, limit in Budget.parse(self.meta.get("budget") or "").limits}
        except LanguageError:
            return {}
        latency = limits.pop("latency_ns", None)
        return limits if latency is None else {**limits, "latency_ms": latency / 1e6}

    @property
    def version(self) -> str:
        """Changes whenever there is something new to show."""
        return f"{self.born}-{len(self.rows)}-{'.'.join(str(row.number) for row in self.open)}"

    @property
    def trained(self) -> list[Row]:
        """Trials that were trained in full, in order of their end."""
        return [row for row in self.rows if row.state == "complete"]

    @property
    def best(self) -> Row | None:
        """The network that `--best` takes; None while there is none."""
        return next((row for row in self.rows if row.number == self._best), None)

    @property
    def rungs(self) -> int:
        """In how many rungs a candidate is trained; 1 in one go."""
        return int(self.meta["recipe"].get("rungs", 1))

    @property
    def read(self) -> bool:
        """Whether it was read at least once; the first time takes seconds where trials are many."""
        return self._read > 0

    def columns(self, metric: str) -> Columns:
        """The trained networks by a metric, and which are on the front; worked out once for each new trial."""
        kept = self._columns.get(metric)
        if kept is None or kept[0] != len(self.rows):
            kept = self._columns[metric] = (len(self.rows), _columns(list(self.rows), metric))
        return kept[1]

    def refresh(self, wait: bool = True) -> Study:
        """Read what is new; `wait=False` goes on with what is known while another request reads."""
        if self._lock.acquire(blocking=wait):
            try:
                if time.monotonic() - self._read > FRESH_S:
                    self._take_up()
                    self._read = time.monotonic()
            finally:
                self._lock.release()
        return self

    def _take_up(self) -> None:
        rows = [_row(candidate, trial) for candidate, trial in self.stored.unread(self._seen)]
        new = [row for row in rows if row.state in FINAL]
        new.sort(key=lambda row: (row.ended or 0.0, row.number))
        self._ended += new
        self._seen |= {row.number for row in new}
        self.open = [row for row in rows if row.state not in FINAL]
        standing = [row for row in (*self._ended, *self.open) if row.reason not in UNFINISHED]
        passed = {row.promotes for row in standing} - {None}
        if passed == self._passed:
            self.rows += new
        else:
            self.rows = [row for row in self._ended if row.number not in passed]
            self._passed, self._columns, self.born = passed, {}, uuid4().hex[:8]
        self._take_note(new)

    def _take_note(self, new: list[Row]) -> None:
        """Read what the study keeps beside its trials, which other commands may have added to."""
        self.run = self.stored.run
        noted = self.stored.longer(), self.stored.trainings()
        if noted != self._noted:
            pairs = known(self.stored)
            self.longer, self.trust = {pair.number: pair for pair in pairs}, verdict(pairs) if pairs else None
            self._noted, self.trainings, self.born = noted, noted[1], uuid4().hex[:8]
        risen = self._may_be_best(new)
        if self.trained and (risen or self._judged != self.born):
            self._best, self._judged = self.stored.best().number, self.born

    def _may_be_best(self, new: list[Row]) -> bool:
        """Whether one of some rows may have become the best: most are less accurate than others, whatever they cost."""
        before = self._highest
        self._highest = max([before, *(row.accuracy or 0.0 for row in new if row.state == "complete")])
        highest = any(row.state == "complete" and (row.accuracy or 0.0) >= before for row in new)
        return highest or self.meta.get("evaluator", "short") != "short"  # fine-tuned ones count before what was lent

    def candidate(self, number: int) -> Candidate | None:
        """Everything that is known of a trial, or None when there is no such trial."""
        try:
            return self.stored.trial(number)
        except UserError:
            return None

    def space(self) -> Space | None:
        """The space that was searched, as it was opened; None where it is not a named one."""
        if ".py" in str(self.meta.get("space")):  # would run a file: a reader does not
            return None
        try:
            space = find(self.meta["space"])
            return at_resolution(space, self.meta.get("resolution"))
        except (LanguageError, KeyError, ValueError):
            return None


def at_resolution(space: Space, resolution: str | None) -> Space:
    if resolution is None:
        return space.at(space.resolutions[-1])
    ends = [int(end) for end in str(resolution).replace("–", "-").replace("to", "-").split("-")]
    return space.at(ends[0], ends[1] if len(ends) > 1 else None)


def _row(candidate: Candidate, trial: FrozenTrial) -> Row:
    begun, ended = (t.timestamp() if t else None for t in (trial.datetime_start, trial.datetime_complete))
    accuracy = candidate.accuracy
    if candidate.state == "stopped" and candidate.curve:
        accuracy = candidate.curve[-1].get("accuracy")
    return Row(
        candidate.number, candidate.state, candidate.arch, candidate.cost, accuracy,
        candidate.reason or candidate.detail, candidate.seconds, begun, ended,
        candidate.latency_ms, candidate.proposals, trial.params, candidate.curve,
        candidate.rungs, candidate.promotes,
    )  # fmt: skip


class Studies:
    """Every study of some storages, by key, and a sentence for each storage or study that cannot be read."""

    def __init__(self, storages: Sequence[str]) -> None:
        self.storages = list(storages)
        self.problems: dict[str, str] = {}
        self._backends: dict[str, RDBStorage] = {}
        self._found: dict[str, Study] = {}
        self._looked = 0.0
        self._lock = RLock()

    def look(self) -> dict[str, Study]:
        """The studies there are now, the latest last."""
        with self._lock:
            if time.monotonic() - self._looked > LOOK_S or not self._looked:
                for storage in self.storages:
                    self._look_in(storage)
                self._looked = time.monotonic()
            return dict(self._found)

    def demand(self, keys: Sequence[str]) -> None:
        """Raise `UserError` where there is no study of one of these keys, or none at all."""
        found = self.look()
        missing = [key for key in keys if key not in found]
        if missing or not found:
            told = " ".join(self.problems.values()) or f"There is {', '.join(found)}."
            raise UserError(f"a study must be one that is there, but {', '.join(missing) or 'none'} is not. {told}")

    def get(self, keys: Sequence[str] | None) -> list[Study]:
        """The studies of some keys, refreshed; keys that no study has are passed over."""
        found, kept = self.look(), []
        for key in keys or ():
            if key in found:
                try:
                    kept.append(found[key].refresh())
                    self.problems.pop(key, None)
                except Exception as error:  # a database fails in many ways, and its page must say so
                    self._note(key, found[key].stored.storage, error)
        return kept

    def warm(self, keys: Sequence[str], patience: float = PATIENCE_S) -> list[str]:
        """Begin to read what was never read; the keys that are not ready after `patience` seconds."""
        found = self.look()
        new = [found[key] for key in keys if key in found and not found[key].read]
        begun = [Thread(target=self._first, args=(study,), daemon=True) for study in new]
        until = time.monotonic() + patience
        for thread in begun:
            thread.start()
        for thread in begun:
            thread.join(max(0.0, until - time.monotonic()))
        told = self.problems.keys()
        return [s.key for s in new if not s.read and s.key not in told and s.stored.storage not in told]

    def _first(self, study: Study) -> None:
        try:
            study.refresh(wait=False)
        except Exception as error:  # as in get
            self._note(study.key, study.stored.storage, error)

    def _note(self, key: str, storage: str, error: Exception) -> None:
        """Keep what is wrong: with the study, where it says what it must not, or else with its storage."""
        if isinstance(error, UserError | LanguageError):
            self.problems[key] = f"{key} cannot be shown: {str(error).splitlines()[0]}."
        else:
            self.problems[storage] = sentence(storage, error)

    def _look_in(self, storage: str) -> None:
        try:
            if missing(storage):
                self.problems[storage] = f"There is no storage at {shown(storage)} yet."
                return
            backend = self._backends.setdefault(storage, open_readonly(storage))
            names = study_names(backend)
            for name in names:
                key = name if len(self.storages) == 1 else f"{name} · {self.storages.index(storage) + 1}"
                if key not in self._found:
                    self._open(key, backend, name, storage)
            self.problems.pop(storage, None)
            if not names:
                foreign = len(backend.get_all_studies())
                others = f"; it holds {foreign} of another tool" if foreign else ""
                self.problems[storage] = f"{shown(storage)} holds no study of this tool{others}."
        except Exception as error:  # as in get
            self._backends.pop(storage, None)
            self.problems[storage] = sentence(storage, error)

    def _open(self, key: str, backend: RDBStorage, name: str, storage: str) -> None:
        try:
            self._found[key] = Study(key, load(backend, name, storage))
            self.problems.pop(key, None)
        except UserError as error:  # of one study: the others are shown
            self._note(key, storage, error)
