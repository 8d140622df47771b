"""Workers as tasks of a Ray cluster (`--engine ray`): what `nas.workers` starts as processes, with Ray's resources.

Ray finds a place with the GPU share and CPUs that a worker asks for, tells of its death, whether it was the process,
the machine or its memory, and ends it with the driver. The study stays where it is: in a database that every machine
reaches. Tasks have no retries of Ray's own: the driver starts another worker and queues what the dead one had in hand.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from uuid import uuid4

from nas.crew import Ending, How, work
from nas.errors import UserError
from nas.recovery import NAME
from search_spaces.errors import LanguageError


def ray_of() -> Any:
    """The library; raise `UserError` where it is not installed."""
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # tasks without GPUs keep the environment's
    try:
        import ray
    except ImportError:
        raise UserError("--engine ray needs Ray on every machine: pip install 'nas-explorer[ray]'") from None
    return ray


class Tasks:
    """An engine: Ray tasks that run `nas.crew.work`, each with its share of a GPU or its CPUs."""

    def __init__(
        self,
        argv: Sequence[str],
        address: str,
        workers: int | None,
        per_gpu: int | None,
        threads: int | None,
        storage: str,
    ) -> None:
        """Join the cluster at `address` (`auto`: the one that this machine is part of; `local`: a new one here).

        Raise `UserError` when there is none, or when the study's storage is a file that other machines do not see.
        """
        self.ray, self.argv = ray_of(), list(argv)
        try:
            self.ray.init(address=address, log_to_driver=False, logging_level="ERROR", configure_logging=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            said = str(error).splitlines()[0]
            raise UserError(
                f"--engine ray needs a cluster at {address}, but Ray says: {said}; `ray start --head` begins one, "
                "--address local one of this machine"
            ) from None
        nodes = [node for node in self.ray.nodes() if node["Alive"]]
        if storage.startswith("sqlite") and len({node["NodeManagerAddress"] for node in nodes}) > 1:
            raise UserError(
                f"workers on {len(nodes)} machines need a database that each of them reaches, but the study is in "
                f"{storage}: give --storage postgresql+psycopg://…"
            )
        resources = self.ray.cluster_resources()
        gpus = int(resources.get("GPU", 0))
        if per_gpu and not gpus:
            raise UserError("--workers-per-gpu needs a GPU, but the cluster has none: give --workers N")
        self.device = "cuda" if gpus else "cpu"
        self.places = workers or (gpus * (per_gpu or 1) if gpus else len(nodes))
        self.threads = threads or max(1, int(resources.get("CPU", 1)) // self.places)
        share = 1 / (per_gpu or 1) if gpus else 0
        self.task = self.ray.remote(num_gpus=share, num_cpus=self.threads, max_retries=0)(worker)

    def __str__(self) -> str:
        return f"{self.places} workers in Ray, each on {self.device} with CPU threads: {self.threads}"

    def start(self, place: int, limits: Sequence[str]) -> Task:
        name = uuid4().hex
        argv = [*self.argv, "--device", self.device, "--threads", str(self.threads), *limits]
        return Task(self.ray, self.task.remote(name, argv, os.getcwd(), sys.path), name)


def worker(name: str, argv: list[str], folder: str, path: list[str]) -> tuple[str, str]:
    """What a task does: `work` where the driver works, on a machine that has the same files. How it ended, by name."""
    sys.path += [each for each in path if each not in sys.path]
    if os.path.isdir(folder):
        os.chdir(folder)
    os.environ[NAME] = name
    try:
        how, said = work(argv)
    except (UserError, LanguageError) as error:
        return How.MISTAKE.name, str(error)
    except SystemExit as error:  # of argparse, which the driver's own reading came before
        return How.MISTAKE.name, f"the arguments were refused ({error.code})"
    return how.name, said


class Task:
    """A worker that was started, or waits for its resources."""

    def __init__(self, ray: Any, reference: Any, name: str) -> None:
        self.ray, self.reference, self.name = ray, reference, name

    def ended(self) -> Ending | None:
        if not self._done(0):
            return None
        try:
            how, said = self.ray.get(self.reference)
        except self.ray.exceptions.TaskCancelledError:
            return Ending(How.INTERRUPTED, "interrupted")
        except self.ray.exceptions.RayError as error:
            said = next((line for line in reversed(str(error).splitlines()) if line.strip()), "nothing")
            return Ending(How.DIED, said.strip()[:300], f"by {type(error).__name__}")
        return Ending(How[how], said)

    def interrupt(self) -> None:
        self.ray.cancel(self.reference, force=False)

    def wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._done(0.2) and time.monotonic() < until:
            pass

    def end(self) -> None:
        if not self._done(0):
            with suppress(self.ray.exceptions.RayError, ValueError):
                self.ray.cancel(self.reference, force=True)

    def _done(self, seconds: float) -> bool:
        ready, _ = self.ray.wait([self.reference], timeout=seconds)
        return bool(ready)
