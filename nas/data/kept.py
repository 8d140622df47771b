"""Decoded images, kept for the next command and for other workers: decoding 60,000 JPEGs takes half a minute.

A file of uint8 (N, C, px, px) in the user's cache, named after what it was made of: the path, size and time of change
of every image, and the side that they were brought to. `NAS_CACHE` says where it lies; empty, nothing is kept.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import numpy as np

from nas.data.decoding import Form, check_memory
from nas.data.images import COLOUR, GREY
from nas.files import discard, written_aside

FORM = 1  # of the files; raised when images would be decoded otherwise
WORTH_S = 2.0  # what is decoded sooner is not kept
UNUSED_S = 30 * 24 * 3600.0  # after which it goes
SHARE = 0.25  # of the disk's free bytes that one may take


def kept(files: Sequence[Path], size: int, decode: Callable[[], np.ndarray]) -> np.ndarray:
    """The images of `files` (N, C, px, px) as `decode` makes them at `size` px, read from the cache where they are."""
    try:
        path = _home() / f"{_made_of(files, size)}.npy"
    except (OSError, RuntimeError):  # an image that is gone, of which decoding says so; a user without a home
        return decode()
    if (found := _read(path, len(files))) is not None:
        check_memory(len(files), Form(*found.shape[1:3]))
        return found
    begin = time.monotonic()
    images = decode()
    if time.monotonic() - begin > WORTH_S:
        with suppress(OSError):  # a cache that cannot be written is none
            _keep(images, path)
            found = _read(path, len(files))  # from the disk's pages, which the system takes back before memory runs out
    return images if found is None else found


def _home() -> Path:
    """Where files are kept; raise `RuntimeError` where none shall be, or can be."""
    usual = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "nas-explorer"
    if not (chosen := os.environ.get("NAS_CACHE", str(usual))):
        raise RuntimeError("NAS_CACHE is empty")
    return Path(chosen).expanduser()


def _made_of(files: Sequence[Path], size: int) -> str:
    digest = sha256(f"{FORM} {size}\n".encode())
    for file in files:
        found, place = file.stat(), os.path.abspath(file)
        digest.update(f"{place}\0{found.st_size} {found.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:32]


def _read(path: Path, count: int) -> np.ndarray | None:
    """What is kept there, as a view of the file; None where there is none that is whole."""
    try:
        images: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    with suppress(OSError):  # somebody else's, that may be read alone
        os.utime(path)
    channels, height, width = images.shape[1:] if images.ndim == 4 else (0, 0, 0)
    whole = images.dtype == np.uint8 and len(images) == count and channels in (GREY, COLOUR) and height == width
    return images if whole else None


def _keep(images: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    for other in path.parent.glob("*.npy"):
        if time.time() - other.stat().st_mtime > UNUSED_S:
            discard(other)
    if images.nbytes <= SHARE * shutil.disk_usage(path.parent).free:
        with written_aside(path) as aside, aside.open("wb") as file:
            np.save(file, images, allow_pickle=False)
