"""The faults, a function each: strike a search, and say how it is to end. The same command then goes on.

A function gets a scene, makes it search, waits for the moment (`scene.moment`), strikes, and waits for the end that
must follow. What it undoes by `scene.undo` is undone before the search goes on.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.faults.inside import VARIABLE
from benchmarks.faults.judging import half_written
from benchmarks.faults.scene import Scene, Unfit

if TYPE_CHECKING:
    from tests.postgres import Server

Fault = Callable[[Scene], None]
FAULTS: dict[str, Fault] = {}


def fault(function: Fault) -> Fault:
    """Register a fault by its function's name."""
    FAULTS[function.__name__] = function
    return function


@fault
def kill_worker(scene: Scene) -> None:
    """kill -9 of one of two workers: the other goes on, and the dead one is replaced."""
    scene.workers = 2
    process = scene.start(scene.search())
    scene.moment(process)
    _kill(scene.rng.choice(scene.pids() or [0]))
    scene.ends(process, 0)


@fault
def kill_parent(scene: Scene) -> None:
    """kill -9 of the command while two workers train: they end with it."""
    scene.workers = 2
    process = scene.start(scene.search())
    scene.moment(process)
    process.kill()
    scene.ends(process, -signal.SIGKILL, 0)


@fault
def kill_search(scene: Scene) -> None:
    """kill -9 of a search without workers."""
    process = scene.start(scene.search())
    scene.moment(process)
    process.kill()
    scene.ends(process, -signal.SIGKILL, 0)


@fault
def full_disk(scene: Scene) -> None:
    """A file system of its own is filled up, and gets room again while the search waits, or only after a kill."""
    mounted(scene)
    process = scene.start(scene.search())
    scene.moment(process)
    filler = scene.results / "filler"
    fill(filler)
    time.sleep(scene.rng.uniform(0.5, 4))
    if scene.rng.random() < 0.5:
        process.kill()
    filler.unlink()
    scene.ends(process, 0, -signal.SIGKILL)


@fault
def file_limit(scene: Scene) -> None:
    """The system lets the search write no file any further than it is (RLIMIT_FSIZE), for some seconds."""
    process = scene.start(scene.search())
    scene.moment(process)
    _limit(process.pid, resource.RLIMIT_FSIZE, 4096)
    time.sleep(scene.rng.uniform(0.5, 4))
    _limit(process.pid, resource.RLIMIT_FSIZE, resource.RLIM_INFINITY)
    scene.ends(process, 0)


@fault
def read_only_results(scene: Scene) -> None:
    """Nothing can be made in the results' folders (chmod; chattr +i for root) for some seconds; then they heal."""
    process = scene.start(scene.search())
    scene.moment(process)
    folders = [each for each in (scene.results, *scene.results.rglob("*")) if each.is_dir()]
    locked(scene, folders)
    time.sleep(scene.rng.uniform(0.5, 4))
    if scene.rng.random() < 0.5:
        process.kill()
        scene.ends(process, -signal.SIGKILL, 0)
        assert "results need a folder that can be written" in scene.run(scene.search(), 2)
        return
    scene.undo.close()
    scene.ends(process, 0)


@fault
def database_restart(scene: Scene) -> None:
    """The PostgreSQL server that two workers search in is stopped at once, and started some seconds later."""
    server = served(scene)
    scene.workers, scene.storage = 2, server.fresh()
    process = scene.start(scene.search())
    scene.moment(process)
    server.stop()
    time.sleep(scene.rng.uniform(0.2, 4))
    server.start()
    scene.ends(process, 0)


@fault
def truncated_weights(scene: Scene) -> None:
    """The weights of a network on the front are cut short: the search says so and keeps its trials."""
    scene.trials -= 2
    scene.run(scene.search(), 0)
    scene.trials += 2
    scene.before, scene.injected = scene.settled(), scene.injected + 1
    stored = scene.study()
    assert stored is not None
    path = scene.results / "s" / "weights" / f"trial-{stored.best().number:05d}.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[: scene.rng.randrange(len(whole))])
    export = ["nas.export", "--storage", f"sqlite:///{scene.results / 'nas.db'}", "--study", "s", "--out", "out"]
    assert "weights must be a safetensors file" in scene.run(export, 2)
    scene.run(scene.search(), 0)
    path.write_bytes(whole)


@fault
def corrupt_image(scene: Scene) -> None:
    """An image of the user's is damaged between a kill and the next start: refused in a sentence until it is mended."""
    process = scene.start(scene.search())
    scene.moment(process)
    process.kill()
    scene.ends(process, -signal.SIGKILL, 0)
    path = scene.rng.choice(sorted((scene.folder / "images").rglob("*.png")))
    whole = path.read_bytes()
    at = scene.rng.randrange(8, len(whole))
    path.write_bytes(whole[:at] + scene.rng.randbytes(len(whole) - at) * scene.rng.randint(0, 1))
    said = scene.run(scene.search(), 2)
    assert path.name in said or "a study goes on only as it began" in said, said
    path.write_bytes(whole)


@fault
def nan_losses(scene: Scene) -> None:
    """Batches turn into NaN now and then: those candidates fail as diverged, and count."""
    _with_batches(scene, "nan:0.05", "diverged")


def _with_batches(scene: Scene, how: str, reason: str) -> None:
    """A search whose batches misbehave by chance ends by itself, and nothing fails for another reason."""
    scene.environment[VARIABLE] = f"{how}:{scene.rng.random()}"
    process = scene.start(scene.search())
    scene.moment(process)
    scene.ends(process, 0, 1)
    assert {record[3] for record in scene.settled().values()} <= {"", reason}
    del scene.environment[VARIABLE]


@fault
def hanging_loader(scene: Scene) -> None:
    """Batches do not come, now and then: those candidates time out, and count."""
    scene.options = ("--candidate-timeout", "10s")
    scene.trials = 5
    _with_batches(scene, "hang:0.02", "timed out")


@fault
def too_large_for_memory(scene: Scene) -> None:
    """One width in three needs gigabytes, and the system grants the process 300 MB more than it has (RLIMIT_AS)."""
    scene.space, scene.budget = "wide", "40GFLOPs"
    process = scene.start(scene.search())
    scene.moment(process)
    size = int(Path(f"/proc/{process.pid}/statm").read_text().split()[0]) * resource.getpagesize()
    _limit(process.pid, resource.RLIMIT_AS, size + 300 * 2**20)
    scene.ends(process, 0)
    assert {record[3] for record in scene.settled().values()} <= {"", "out of memory"}


@fault
def killed_export(scene: Scene) -> None:
    """kill -9 of an export that replaces another: whole, or no module."""
    scene.run(scene.search(), 0)
    scene.before = scene.settled()
    export = ["nas.export", "--storage", f"sqlite:///{scene.results / 'nas.db'}", "--study", "s", "--out", "out"]
    for number in scene.rng.sample(sorted(scene.before), 2):
        process = scene.start([*export, "--trial", str(number), "--untrained"])
        time.sleep(scene.rng.uniform(3, 8))
        process.kill()
        scene.injected += 1
        scene.ends(process, -signal.SIGKILL, 0)
        assert not (wrong := list(half_written(scene.folder / "out"))), wrong


# ------------------------------------------------------------------------------------------ means


def _kill(pid: int) -> None:
    if pid:
        os.kill(pid, signal.SIGKILL)


def _limit(pid: int, which: int, most: int) -> None:
    """Set a process's soft limit; it may have ended."""
    try:
        resource.prlimit(pid, which, (most, resource.prlimit(pid, which)[1]))
    except ProcessLookupError:
        return


def mounted(scene: Scene, megabytes: int = 8) -> None:
    """Give the results a small file system of their own; raise `Unfit` where that is not allowed."""
    scene.results.mkdir()
    size = f"size={megabytes}m"
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", scene.results], capture_output=True, text=True)
    if done.returncode:
        raise Unfit(f"a file system cannot be mounted here ({done.stderr.strip()})")

    def unmount() -> None:
        kept = scene.folder / "kept"
        shutil.copytree(scene.results, kept)
        subprocess.run(["umount", "-l", scene.results], check=True)
        scene.results.rmdir()
        kept.rename(scene.results)

    scene.undo.callback(unmount)


def fill(path: Path) -> None:
    """Take all room that there is."""
    with path.open("wb", buffering=0) as file:
        for size in (2**20, 2**12, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


def locked(scene: Scene, folders: list[Path]) -> None:
    """Let nobody make, rename or delete a file in the folders until the scene heals; `Unfit` where that fails."""
    root = os.getuid() == 0
    lock, free = (["chattr", "+i"], ["chattr", "-i"]) if root else (["chmod", "a-w"], ["chmod", "u+w"])
    scene.undo.callback(subprocess.run, [*free, *folders], capture_output=True)
    done = subprocess.run([*lock, *folders], capture_output=True, text=True)
    if done.returncode:
        raise Unfit(f"folders cannot be locked here ({done.stderr.strip()})")


def served(scene: Scene) -> Server:
    """A PostgreSQL server of the scene's own; `Unfit` where there is none."""
    try:
        from tests.postgres import binaries, launched
    except ImportError as error:
        raise Unfit(f"this needs the extra `test`, but {error.name} is missing") from None
    if not (programs := binaries()):
        raise Unfit("PostgreSQL is not installed")
    return scene.end.enter_context(launched(programs))
