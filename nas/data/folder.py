"""Any folder of images, one sub-folder a class, with or without folders for the splits.

From `photos/cat/1.jpg` and `photos/dog/7.png`, all splits are drawn by the seed. From
`photos/train/cat/1.jpg` and `photos/test/cat/2.jpg`, these splits are kept and val is drawn from train.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from nas.data.decoding import decode, survey
from nas.data.images import ImageData, Split
from nas.data.kept import kept
from nas.data.splits import stratified
from nas.errors import UserError

DEFAULT_SIZE = 64  # px
FRACTIONS = {"val": 0.15, "test": 0.15}  # of each class, for splits that the folder does not come with
SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
SUFFIXES = (".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
LICENCE = "not stated (a folder of the user's)"


@dataclass(frozen=True)
class Listing:
    """Image files and the class of each, in an order that does not depend on the file system's."""

    files: tuple[Path, ...]
    labels: tuple[int, ...]

    def take(self, positions: list[int]) -> Listing:
        return Listing(tuple(self.files[p] for p in positions), tuple(self.labels[p] for p in positions))


def load_folder(folder: Path, seed: int, size: int | None = None) -> ImageData:
    """Load the images under `folder` as squares of `size` px (64 if None), grey only if all files are."""
    if not os.path.isdir(folder):  # pathlib raises where a name is too long
        found = "a file" if os.path.exists(folder) else "missing"
        raise UserError(
            f"A path given as data must be a folder with one sub-folder a class, but {str(folder)[:200]} is"
            f" {found}; check the path."
        )
    classes, listings = _listings(folder, seed)
    files = sorted(file for listing in listings.values() for file in listing.files)
    side = size or DEFAULT_SIZE
    images = kept(files, side, lambda: decode(files, survey(files, side)))
    places = {file: place for place, file in enumerate(files)}
    train, val, test = (_split(listings[name], images, places) for name in ("train", "val", "test"))
    return ImageData(folder.resolve().name, classes, train, val, test, LICENCE)


def _split(listing: Listing, images: np.ndarray, places: Mapping[Path, int]) -> Split:
    chosen = images[[places[file] for file in listing.files]]
    return Split(torch.from_numpy(chosen), torch.tensor(listing.labels))


def _listings(folder: Path, seed: int) -> tuple[tuple[str, ...], dict[str, Listing]]:
    """Class names, and which file is in which split."""
    given = _split_folders(folder)
    classes = _classes(given.get("train", folder))
    if "train" not in given:
        return classes, _drawn(_listing(folder, classes), classes, FRACTIONS, seed)
    for split_folder in given.values():
        _check_same_classes(split_folder, classes, given["train"])
    listings = {name: _listing(split_folder, classes) for name, split_folder in given.items()}
    for name in given.keys() - {"train"}:
        _check_counts(listings[name], classes, needed=1, why=f"in {given[name].name}/")
    missing = {name: fraction for name, fraction in FRACTIONS.items() if name not in given}
    return classes, listings | _drawn(listings["train"], classes, missing, seed)


def _split_folders(folder: Path) -> dict[str, Path]:
    """Folders that hold ready-made splits; none unless `train` holds folders, as trains may be a class."""
    written = {name.lower(): name for name in _sub_folders(folder)}  # some sets write Train and Test
    found = {
        split: folder / written[name]
        for split, names in SPLIT_FOLDERS.items()
        for name in reversed(names)  # the first of the names wins where there are several
        if name in written and _sub_folders(folder / written[name])
    }
    return found if "train" in found else {}


def _sub_folders(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _classes(folder: Path) -> tuple[str, ...]:
    classes = tuple(_sub_folders(folder))
    if not classes:
        raise UserError(
            f"A folder of images must hold one sub-folder a class, but {folder} holds none;"
            f" arrange it as {folder.name}/cat/1.jpg, {folder.name}/dog/1.jpg."
        )
    split_names = {name for names in SPLIT_FOLDERS.values() for name in names}
    if {name.lower() for name in classes} <= split_names:
        raise UserError(
            f"Split folders must hold one sub-folder a class each, but {folder} holds {_listed(classes)}"
            f" without classes inside train; arrange it as train/cat/1.jpg, train/dog/1.jpg."
        )
    if len(classes) < 2:
        raise UserError(
            f"A classifier needs at least 2 classes, but {folder} holds only {classes[0]!r};"
            f" add a sub-folder with images of another class."
        )
    return classes


def _listing(folder: Path, classes: tuple[str, ...]) -> Listing:
    """All image files in the classes' folders, at any depth, sorted by class and then by path."""
    files: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = sorted((folder / name).rglob("*"), key=lambda path: path.relative_to(folder).as_posix())
        images = [path for path in found if _is_image(path)]
        files.extend(images)
        labels.extend([label] * len(images))
    if not files:
        raise UserError(
            f"A folder of images must hold image files, but there is none in the class folders of {folder};"
            f" files that end in {', '.join(SUFFIXES)} are read."
        )
    return Listing(tuple(files), tuple(labels))


def _is_image(path: Path) -> bool:
    """By name alone; names with a leading dot are leftovers of file managers."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def _drawn(listing: Listing, classes: tuple[str, ...], fractions: Mapping[str, float], seed: int) -> dict[str, Listing]:
    """Divide `listing` into train and the splits named in `fractions`."""
    splits = [*fractions, "train"]
    _check_counts(listing, classes, needed=len(splits), why=f"to be split into {_listed(splits)}")
    parts = stratified(listing.labels, list(fractions.values()), seed)
    return {split: listing.take(part) for split, part in zip(splits, parts, strict=True)}


def _check_counts(listing: Listing, classes: tuple[str, ...], needed: int, why: str) -> None:
    counts = Counter(listing.labels)
    for label, name in enumerate(classes):
        if counts[label] < needed:
            raise UserError(
                f"Each class needs at least {needed} image{'s' if needed > 1 else ''} {why},"
                f" but {name!r} has {counts[label]}; add images or remove its folder."
            )


def _check_same_classes(folder: Path, classes: tuple[str, ...], train: Path) -> None:
    found = tuple(_sub_folders(folder))
    if found == classes:
        return
    lacking, extra = sorted(set(classes) - set(found)), sorted(set(found) - set(classes))
    differences = [f"lacks {_listed(lacking)}"] * bool(lacking) + [f"adds {_listed(extra)}"] * bool(extra)
    raise UserError(
        f"All split folders must hold the same classes, but {folder} {' and '.join(differences)}"
        f" compared with {train}; add or remove these folders."
    )


def _listed(names: list[str] | tuple[str, ...], limit: int = 5) -> str:
    """`a, b and c`, cut after `limit` names."""
    if len(names) > limit:
        return f"{', '.join(names[:limit])} and {len(names) - limit} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
