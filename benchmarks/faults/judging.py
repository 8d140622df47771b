"""What must hold of a study after a fault, and once the same command has gone on to its end."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

from safetensors.numpy import load_file

from benchmarks.faults.scene import Records, Scene


def lost(before: Records, after: Records) -> Iterator[str]:
    """Finished trials that are no more, or are otherwise."""
    for number, record in before.items():
        if number not in after:
            yield f"trial {number} is gone"
        elif after[number] != record:
            yield f"trial {number} was {record}, now {after[number]}"


def unfinished(scene: Scene) -> Iterator[str]:
    """What a search that was gone on with did not do."""
    stored = scene.study()
    assert stored is not None, "the study cannot be opened"
    candidates = stored.candidates()
    settled = [c for c in candidates if c.settled]
    if len(settled) != scene.trials:
        yield f"{len(settled)} trials are settled, not {scene.trials}"
    if len({str(c.arch) for c in settled}) != len(settled):
        yield "an architecture was trained twice"
    yield from (f"trial {c.number} is still running" for c in candidates if c.state == "running")
    for c in stored.front():
        path = scene.results / "s" / "weights" / f"trial-{c.number:05d}.safetensors"
        try:
            load_file(path)
        except Exception as error:
            yield f"the weights of trial {c.number} cannot be read: {error}"


def half_written(folder: Path) -> Iterator[str]:
    """What is wrong with an export; one that has no module yet says that it is not there."""
    if not (folder / "network.py").is_file():
        return
    try:
        source = (folder / "network.py").read_text()
        ast.parse(source)
        spec = json.loads((folder / "network.json").read_text())
        load_file(folder / "network.safetensors")
    except Exception as error:
        yield f"the export in {folder} is not whole: {type(error).__name__}: {error}"
        return
    if spec["arch"].split(" | ")[1] not in source:
        yield f"the export in {folder} has files of two networks"


def tracebacks(scene: Scene) -> Iterator[str]:
    """Commands and workers that showed one to the user."""
    for path in [*map(Path, scene.said), *(scene.results / "s" / "workers").glob("*.log")]:
        if "Traceback (most recent call last)" in (words := path.read_text(errors="replace")):
            yield f"a traceback in {path.name}: …{words.strip()[-1500:]}"


def left_aside(scene: Scene) -> int:
    """Files that were being written when a process was killed."""
    return sum(path.is_file() for path in scene.folder.rglob(".*.[0-9]*"))
