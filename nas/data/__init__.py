"""Images in memory: `load("fashion-subset")`, `load("cifar10")` or `load("path/to/a/folder")`.

Every source ends as the same `ImageData`: uint8 tensors `(N, C, H, W)` in a train, a val and a test
split. Validation data choose between networks; test data are touched once, for the network reported.
"""

from __future__ import annotations

import os
from pathlib import Path

from nas.data import downloaded, embedded
from nas.data.folder import load_folder
from nas.data.images import ImageData, Split, shrunk_to, to_channels
from nas.errors import UserError

__all__ = ["ImageData", "Split", "known_names", "load", "to_channels"]


def load(spec: str, *, seed: int = 0, size: int | None = None, root: Path | None = None) -> ImageData:
    """Return the images that `spec` names: a known set, or a folder with one sub-folder a class.

    A known name wins over a folder of the same name in the current directory: write `./mnist` for the folder.

    Args:
        spec: one of `known_names()`, or the path of a folder of images.
        seed: decides the splits that the source does not come with; the same seed, the same splits.
        size: side in px that images are brought to. Sets whose images are all the same, smaller square
            keep their size, as nothing is gained by enlarging them before training does. Without it,
            folders of other images come out at 64 px and known sets as they are.
        root: where the files of downloaded sets are or go to.
    """
    if size is not None and size < 1:
        raise UserError(f"The image size must be at least 1 px, but got {size}; 64 is a usual one.")
    if spec == embedded.NAME:
        return shrunk_to(embedded.load_embedded(), size)
    if spec in downloaded.SETS:
        return shrunk_to(downloaded.load_downloaded(spec, seed, root), size)
    if _looks_like_a_path(spec):
        return load_folder(_path(spec), seed, size)
    raise UserError(
        f"Data must be a known name or a folder of images, but got {spec!r};"
        f" the known names are {', '.join(known_names())}."
    )


def known_names() -> tuple[str, ...]:
    """Names that `load` knows, the one that needs no network first."""
    return (embedded.NAME, *sorted(downloaded.SETS))


def _looks_like_a_path(spec: str) -> bool:
    separators = {"/", os.sep}
    folder = os.path.isdir(_path(spec))  # pathlib raises where a name is too long
    return folder or any(separator in spec for separator in separators)


def _path(spec: str) -> Path:
    """With ~ for a home; of a user who has none it stays as it is."""
    try:
        return Path(spec).expanduser()
    except (RuntimeError, ValueError):
        return Path(spec)
