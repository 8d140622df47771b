"""Files that are whole or not there: written aside, then renamed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.patience import PATIENCE_S, disk_trouble, patiently
from nas.processes import place, runs

if TYPE_CHECKING:
    from torch import Tensor


def read_json(path: Path) -> Any:
    """What a JSON file holds; raise `OSError` or `ValueError` when it is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def write_text(text: str, path: Path) -> Path:
    """Write a text file in one step."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")
    return path


def write_weights(weights: dict[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> Path:
    """Write a state dict as safetensors, with texts beside the tensors, in one step."""
    with written_aside(path) as aside:
        save(weights, aside, metadata)
    return path


def keep_weights(weights: dict[str, Tensor], path: Path) -> Path:
    """As `write_weights`, once the disk has room; raise `Away` when that takes too long."""
    what = f"the disk of {path.parent}"
    return patiently(lambda: write_weights(weights, path), disk_trouble, what, PATIENCE_S)


def write_together(files: dict[Path, Callable[[Path], object]]) -> None:
    """Write several files that belong together, the last of them last and not there until all others are.

    files: what writes each, given the name aside. Where an older set is replaced, its last file goes first, so that no
    moment shows parts of both.
    """
    asides = {path: _aside(path) for path in files}
    *_, last = files
    try:
        for path, write in files.items():
            write(asides[path])
        last.unlink(missing_ok=True)
        for path, aside in asides.items():
            os.replace(aside, path)
    finally:
        for aside in asides.values():
            discard(aside)


def save(weights: dict[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """A state dict as safetensors; raise `OSError` where the disk refuses."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file(weights, path, metadata)
    except SafetensorError as error:
        if not (number := re.search(r"os error (\d+)", str(error))):
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from None


def discard(path: Path) -> None:
    """Delete a file that nobody needs any more, where that can be done."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """A name to write to, which becomes `path` at the end, or is deleted where writing failed."""
    aside = _aside(path)
    try:
        yield aside
        os.replace(aside, path)
    finally:
        discard(aside)


def _aside(path: Path) -> Path:
    """A name beside the file that no other process uses; its folder is made, and what killed ones left there goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    here = re.sub(r"[^\w-]", "-", place())  # folders may be shared by machines and containers
    for left in path.parent.glob(f".*.{here}.*"):
        owner = left.suffix[1:]
        if owner.isdecimal() and not runs(int(owner)):
            discard(left)
    return path.with_name(f".{path.name}.{here}.{os.getpid()}")
