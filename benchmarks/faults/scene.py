"""A search by the real command in a folder of its own, which can be watched, struck and gone on with."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, TypeVar
from uuid import uuid4

import optuna
from PIL import Image

from nas.readonly import open_readonly
from nas.store import Stored

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 900.0  # of one command; the machine may be busy
TOKEN = "NAS_FAULT_SCENE"  # in the environment of every process of a scene
SPACE = """
from benchmarks.faults import inside
from search_spaces import Arch, IntRange, OneOf, Stage
from search_spaces.blocks.bottleneck import Bottleneck
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.space import Space

inside.arm()


def made(name, *widths):
    block = Bottleneck(ratio=OneOf(0.25, 0.5))
    stages = (Stage(block, width=OneOf(16, 32, *widths), depth=IntRange(1, 3), stride=2),)
    return Space(name, Arch(resolution=64, stem=ConvStem(width=OneOf(8, 16, 24)), stages=stages, head=PoolHead()))


small, wide = made("small", 48), made("wide", 16384)
"""
T = TypeVar("T")
Records = dict[int, tuple[Any, ...]]


class Unfit(Exception):
    """A fault that cannot be put in on this machine, and why."""


@dataclass
class Scene:
    """A study of `trials` trials in a folder; `before` is what was finished when it was struck.

    undo: what a fault did to the machine, taken back before the search goes on. end: what is needed until then.
    """

    folder: Path
    rng: Random
    trials: int = 8
    workers: int = 1
    storage: str = ""
    space: str = "small"
    budget: str = "8MFLOPs"
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    token: str = field(default_factory=lambda: uuid4().hex)
    before: Records = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    injected: int = 0
    undo: ExitStack = field(default_factory=ExitStack)
    end: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        (self.folder / "space.py").write_text(SPACE)
        for name, shade in (("dark", 40), ("bright", 200)):
            (self.folder / "images" / name).mkdir(parents=True)
            for i in range(16):
                Image.effect_noise((20, 20), shade + i).save(self.folder / "images" / name / f"{i}.png")

    @property
    def results(self) -> Path:
        return self.folder / "results"

    # ------------------------------------------------------------------------------------ commands

    def search(self) -> list[str]:
        """The command, always the same."""
        line = ["nas.search", "--budget", self.budget, "--space", f"space.py:{self.space}"]
        line += ["--data", "images/", "--study", "s"]
        line += ["--train-resolution", "12", "--batch-size", "16", "--steps", "12", "--threads", "1", "--trust", "0"]
        line += ["--trials", str(self.trials), "--workers", str(self.workers), "--sampler", "random", *self.options]
        return [*line, *(["--storage", self.storage] if self.storage else [])]

    def start(self, line: list[str]) -> subprocess.Popen[str]:
        """A command in the scene's folder, its words kept in a file outside of the results."""
        (log := self.folder / f"said-{len(self.said)}.txt").touch()
        self.said.append(str(log))
        environment = os.environ | {"PYTHONPATH": str(ROOT), TOKEN: self.token, "OMP_NUM_THREADS": "1"}
        heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        with log.open("w") as out:
            return subprocess.Popen(
                [sys.executable, "-m", *line], cwd=self.folder, env=environment | self.environment,
                stdout=out, stderr=out, text=True, preexec_fn=heard,
            )  # fmt: skip

    def ends(self, process: subprocess.Popen[str], *codes: int) -> None:
        """Wait for the end of a command; raise `AssertionError` when it ends otherwise than by one of `codes`."""
        code = process.wait(DEADLINE_S)
        assert code in codes, f"ended with {code}, not {codes}: {self.words()[-3000:]}"
        self.nobody_left()

    def run(self, line: list[str], *codes: int) -> str:
        """A command from beginning to end; what it said."""
        self.ends(self.start(line), *codes)
        return self.words()

    def words(self) -> str:
        """What the latest command said."""
        return Path(self.said[-1]).read_text(errors="replace")

    # ------------------------------------------------------------------------------------ the study

    def study(self) -> Stored | None:
        """The study, opened for reading only; None where it cannot be read now."""
        try:
            backend = open_readonly(self.storage or f"sqlite:///{self.results / 'nas.db'}")
            return Stored(optuna.load_study(study_name="s", storage=backend), self.storage)
        except Exception:
            return None

    def settled(self) -> Records:
        """What is known of each trial that says something of its architecture."""
        stored = self.study()
        kept = [c for c in stored.candidates() if c.settled and c.state != "running"] if stored else []
        return {c.number: (c.state, str(c.arch), c.accuracy, c.reason, c.seed, c.curve) for c in kept}

    def pids(self) -> list[int]:
        """Processes of running trials' workers."""
        stored = self.study()
        return [c.attrs["worker"]["pid"] for c in stored.candidates() if c.state == "running"] if stored else []

    # ---------------------------------------------------------------------------------- the moment

    def moment(self, process: subprocess.Popen[str]) -> None:
        """Wait until a random number of trials is finished, and a random while on; remember what was finished."""
        wanted, wait = self.rng.randint(0, self.trials - 3), self.rng.uniform(0, 1.0)
        self.eventually(lambda: process.poll() is not None or (self.pids() and len(self.settled()) >= wanted))
        time.sleep(wait)
        self.before, self.injected = self.settled(), self.injected + 1

    def eventually(self, look: Callable[[], T]) -> T:
        """What `look` finds once it finds something."""
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            if found := look():
                return found
            time.sleep(0.05)
        raise AssertionError("what was waited for did not happen")

    # ------------------------------------------------------------------------------------ processes

    def living(self) -> list[int]:
        """Processes of this scene, by what their environment says."""
        mark, found = f"{TOKEN}={self.token}".encode(), []
        for place in Path("/proc").iterdir():
            if place.name.isdecimal():
                try:
                    ours = mark in (place / "environ").read_bytes() and b"Z" not in _state(place)
                except OSError:
                    continue
                found += [int(place.name)] if ours else []
        return found

    def nobody_left(self) -> None:
        self.eventually(lambda: not self.living())

    def close(self) -> None:
        for pid in self.living():
            os.kill(pid, signal.SIGKILL)
        self.undo.close()
        self.end.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _state(place: Path) -> bytes:
    return (place / "stat").read_bytes().rpartition(b")")[2].split()[0]


@contextmanager
def scene(folder: Path, seed: str, **settings: Any) -> Iterator[Scene]:
    """A scene that leaves nothing behind."""
    folder.mkdir(parents=True)
    made = Scene(folder, Random(seed), **settings)
    try:
        yield made
    finally:
        made.close()
