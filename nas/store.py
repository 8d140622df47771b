"""Studies on disk: the only reader and writer of Optuna's storage. One tidy row a trial.

What a study is about (space, budget, recipe, data, deployment) is kept as one JSON value on it; what a
trial was (architecture's text, costs, curve, timings, seed, versions) as values on the trial.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Container
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from nas.candidates import Candidate, as_row, complete, pareto, standing
from nas.errors import UserError
from nas.foreign import check_notes, check_study, check_trial
from nas.storage import open_shared
from search_spaces.arch import Arch
from search_spaces.budget import Budget
from search_spaces.cost import Cost, cost
from search_spaces.errors import ArchError

if TYPE_CHECKING:
    import pandas as pd

META = "nas"
TRAINED = "trained:"  # before an architecture's text: what final training said of it
SCHEMA = 1  # of what a study keeps; raised when an older release could no longer read it rightly
RESULTS = Path("results")  # as nas.cli.STORAGE says it
SQLITE = "sqlite:///"
LOCK_WAIT_S = 60  # how long a writer waits for another worker's transaction in SQLite
STATES = {TrialState.COMPLETE: "complete", TrialState.FAIL: "failed", TrialState.PRUNED: "stopped"}


class Unreachable(UserError):
    """A storage that does not answer: wrongly named, or away for now."""


def default_storage(results: Path = RESULTS) -> str:
    """The SQLite file that studies go to unless told otherwise."""
    return f"{SQLITE}{results / 'nas.db'}"


class Stored:
    """A study that exists: what it is about, and its trials as candidates or as a frame."""

    def __init__(self, study: optuna.Study, storage: str) -> None:
        self.study, self.storage, self.name = study, storage, study.study_name
        self.meta = check_study(self.name, self.notes[META])
        if (schema := self.meta.get("schema", 0)) > SCHEMA:
            raise UserError(
                f"a study must be of schema {SCHEMA} or older, but {self.name} has {schema}: "
                "it was made by a newer release of nas-explorer, which reads it"
            )
        self._finished: dict[int, Candidate] = {}
        file = storage.removeprefix(SQLITE)
        self.here = (RESULTS if file == storage else Path(file).parent) / self.name

    @property
    def folder(self) -> Path:
        """Where the study's weights and exports lie: where it was made, or `here` if they were brought along."""
        recorded = Path(self.meta["folder"])
        moved = self.here.exists() and not recorded.exists()
        return self.here if moved or self.here.resolve() == recorded else recorded

    def settle(self, results: Path | None = None) -> None:
        """See to it that the folder can be written, before hours of training end in it; raise `UserError` if not.

        A machine that cannot make the folder of the one that made the study takes its own, below `results`.
        """
        self.here = results / self.name if results else self.here
        recorded = Path(self.meta["folder"])
        if not self.folder.exists():
            with suppress(UserError):
                writable_folder(recorded)
        writable_folder(recorded if recorded.exists() else self.here)

    @property
    def notes(self) -> dict[str, Any]:
        """What the study keeps beside its trials; checked each time, for other processes write there."""
        attrs = self.study.user_attrs
        check_notes(self.name, attrs)
        return attrs

    def candidates(self) -> list[Candidate]:
        """Every trial that took up an architecture, in order; of those of one candidate the last."""
        return [self.candidate_of(trial) for trial in standing(self.trials())]

    def trials(self) -> list[FrozenTrial]:
        """All trials; raise `UserError` where one says what none of this tool's would."""
        trials = self.study.get_trials(deepcopy=False)
        for trial in trials:
            if trial.number not in self._finished:
                check_trial(self.name, trial.number, trial.user_attrs)
        return trials

    def complete(self) -> list[Candidate]:
        """The candidates that were trained to the end."""
        return complete(self.candidates())

    def front(self) -> list[Candidate]:
        """Those that no other beats in accuracy and FLOPs, by ascending FLOPs."""
        return pareto(self.candidates())

    def best(self) -> Candidate:
        """The most accurate candidate, of equal ones the cheapest; raise `UserError` when there is none.

        Where it was trained longer (`nas.trust`): of those that were, the most accurate by that. Where a supernet
        lent the accuracies: of the fine-tuned and those trained longer, the most accurate by either.
        """
        candidates = self.candidates()
        if not (ranked := pareto(candidates)):
            raise UserError(f"a study needs a finished trial for this, but {self.name} has none: run nas.search first")
        own = {row["number"]: row["long"] for row in self.longer()}
        tuned = {c.number: c.accuracy or 0.0 for c in complete(candidates) if c.refines is not None}
        if not tuned and ranked[-1].number not in own:
            return ranked[-1]
        own |= {number: max(accuracy, own.get(number, 0.0)) for number, accuracy in tuned.items()}
        return self.trial(max(own, key=lambda number: (own[number], -number)))

    def trial(self, number: int) -> Candidate:
        """The candidate of one trial; raise `UserError` when there is no such trial."""
        trials = self.trials()
        if 0 <= number < len(trials) and "arch" in trials[number].user_attrs:
            return self.candidate_of(trials[number])
        raise UserError(f"a trial must be one of the study {self.name} (0 to {self.last}), but got {number}")

    @property
    def last(self) -> int:
        """The highest number of a trial."""
        return max((t.number for t in self.study.get_trials(deepcopy=False)), default=0)

    def frame(self) -> pd.DataFrame:
        """One row a trial: number, state, accuracy, costs, resolution, depth, times, reason, text."""
        import pandas as pd

        return pd.DataFrame([as_row(c) for c in self.candidates()])

    def note_training(self, arch: Arch, report: dict[str, Any]) -> None:
        """Keep what final training said of an architecture."""
        self.study.set_user_attr(f"{TRAINED}{arch}", report)

    def training_of(self, arch: Arch) -> dict[str, Any] | None:
        """What final training said of an architecture, if it was trained."""
        return self.trainings().get(str(arch))

    def trainings(self) -> dict[str, dict[str, Any]]:
        """What `note_training` kept, by the architecture's text."""
        return {key.removeprefix(TRAINED): row for key, row in self.notes.items() if key.startswith(TRAINED)}

    def note_longer(self, row: dict[str, Any]) -> None:
        """Keep what training for longer said of a candidate: its number, accuracy (`long`), samples, seconds."""
        self.study.set_user_attr(f"longer:{row['number']}:{row['samples']}", row)

    def longer(self, samples: int | None = None) -> list[dict[str, Any]]:
        """What `note_longer` kept, by number, of trainings on so many `samples`: the most that any saw, unless told."""
        rows = [row for key, row in self.notes.items() if key.startswith("longer:")]
        wanted = max((row["samples"] for row in rows), default=0) if samples is None else samples
        return sorted((row for row in rows if row["samples"] == wanted), key=lambda row: int(row["number"]))

    @property
    def budget(self) -> Budget:
        """The limits that every candidate keeps; none for a study of known networks."""
        return Budget.parse(self.meta["budget"]) if self.meta["budget"] else Budget()

    def cost_of(self, arch: Arch) -> Cost:
        """What an architecture costs as this study deploys it."""
        return cost(arch, self.meta["in_channels"], self.meta["num_classes"])

    def unread(self, seen: Container[int]) -> list[tuple[Candidate, FrozenTrial]]:
        """The trials that took up an architecture, those left out whose numbers are in `seen`."""
        trials = (t for t in self.trials() if t.number not in seen and "arch" in t.user_attrs)
        return [(self.candidate_of(trial), trial) for trial in trials]

    @property
    def run(self) -> dict[str, Any]:
        """What the latest run said of its end: `trials` that the study shall have, `until` when; or nothing."""
        return self.notes.get("limits") or {}

    @property
    def made(self) -> int:
        """By which the studies of a storage are in the order in which they were made."""
        return int(self.study._study_id)

    def candidate_of(self, trial: FrozenTrial) -> Candidate:
        """The candidate of a trial. A finished trial never changes, so it is read once."""
        if trial.number not in self._finished:
            candidate = self._candidate(trial)
            if not trial.state.is_finished():
                return candidate
            self._finished[trial.number] = candidate
        return self._finished[trial.number]

    def _candidate(self, trial: FrozenTrial) -> Candidate:
        attrs = trial.user_attrs
        try:
            arch = Arch.parse(attrs["arch"])
        except ArchError as error:
            raise UserError(
                f"{error}\n(trial {trial.number} of {self.name}; blocks that its space {self.meta['space']} defines "
                "are known once that file is named: --blocks FILE.py)"
            ) from None
        return Candidate(
            number=trial.number,
            state=STATES.get(trial.state, trial.state.name.lower()),
            arch=arch,
            cost=self.cost_of(arch),
            accuracy=trial.values[0] if trial.state == TrialState.COMPLETE else None,
            reason=attrs.get("reason", ""),
            seconds=trial.duration.total_seconds() + attrs.get("before_s", 0.0) if trial.duration else None,
            pixels=attrs.get("pixels"),
            seed=attrs.get("seed"),
            curve=attrs.get("curve", []),
            attrs=attrs,
            study=self,
        )


# ------------------------------------------------------------------------------ opening and making


def connect(storage: str) -> BaseStorage:
    """Open a storage by its URL, making the folder of an SQLite file; raise `UserError` when it cannot be reached."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", ExperimentalWarning)  # metric names and grouped TPE, both long-standing
    logging.getLogger("alembic").setLevel(logging.ERROR)
    try:
        url = make_url(storage)
        kwargs: dict[str, Any] = {"pool_pre_ping": True}  # connections that a restart of the server broke
        if url.get_backend_name() == "sqlite":
            kwargs = {"connect_args": {"timeout": LOCK_WAIT_S}}
            if url.database and url.database != ":memory:":
                writable_folder(Path(url.database).parent)
        return open_shared(storage, kwargs)
    except ArgumentError:
        raise UserError(
            f"a storage is a database's URL such as {default_storage()} or postgresql+psycopg://user@host/name, "
            f"but got {storage!r}"
        ) from None
    except ImportError as error:
        missing = getattr(error.__cause__ or error.__context__ or error, "name", "it")
        raise UserError(
            f"a storage needs its database's driver, but {missing} is missing: for PostgreSQL the extra `postgres` "
            "has it (pip install -e '.[postgres]')"
        ) from None
    except (SQLAlchemyError, StorageInternalError) as error:
        said = str(error.__cause__ or error).splitlines()[0]
        raise Unreachable(f"the storage must be reachable, but {url.render_as_string()} answers: {said}") from None


def writable_folder(folder: Path) -> Path:
    """Make the folder; raise `UserError` when nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"results need a folder that can be written, but {folder} says: {error.strerror}") from None
    return folder


def open_study(storage: str, name: str | None = None) -> Stored:
    """Open a study by name, or the only one there is; raise `UserError` that lists what is there."""
    if storage.startswith(SQLITE) and not Path(storage.removeprefix(SQLITE)).is_file():
        raise UserError(f"a study's storage must exist, but there is no {storage}: run nas.search, or give --storage")
    backend = connect(storage)
    known = study_names(backend)
    if name is None and len(known) == 1:
        name = known[0]
    if name not in known:
        there = ", ".join(known) or "no study"
        raise UserError(f"a study must be one of {storage} ({there}), but got {name}")
    return load(backend, name, storage)


def load(backend: BaseStorage, name: str, storage: str) -> Stored:
    """A study that is there, of an open storage; `storage`: its URL."""
    return Stored(optuna.load_study(study_name=name, storage=backend), storage)


def study_names(backend: BaseStorage) -> list[str]:
    """Names of the studies that this project made."""
    return sorted(s.study_name for s in backend.get_all_studies() if META in s.user_attrs)


def create_study(storage: str, name: str, meta: dict[str, Any], sampler: optuna.samplers.BaseSampler) -> Stored:
    """Make a study, or open the one of that name; the caller compares its `meta`."""
    backend = connect(storage)
    study = optuna.create_study(
        study_name=name, storage=backend, sampler=sampler, directions=["maximize", "minimize"], load_if_exists=True
    )
    if META not in study.user_attrs:
        if study.get_trials(deepcopy=False):
            raise UserError(f"a study must be this tool's own, but {name} was made by another: choose --study NAME")
        study.set_metric_names(["accuracy", "flops"])
        study.set_user_attr(META, {**meta, "schema": SCHEMA})
    return Stored(study, storage)
