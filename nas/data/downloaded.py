"""Public data sets through torchvision, downloaded once: a new one is a row of `SETS`."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from nas.data.images import ImageData, Split
from nas.data.splits import stratified
from nas.errors import UserError

DEFAULT_ROOT = Path("~/.cache/torchvision-data")
VAL_FRACTION = 0.1  # none of these sets comes with a validation split; it is taken from train
NOT_STATED = "not stated by the authors of the data"


@dataclass(frozen=True)
class DownloadedSet:
    """How torchvision is asked for a data set's two splits."""

    torchvision_class: str
    licence: str
    train: dict[str, Any] = field(default_factory=lambda: {"train": True})
    test: dict[str, Any] = field(default_factory=lambda: {"train": False})
    channels_last: bool = False  # whether torchvision keeps the pixels as (N, H, W, C)


BY_SPLIT: dict[str, Any] = {"train": {"split": "train"}, "test": {"split": "test"}}

SETS = {
    "mnist": DownloadedSet("MNIST", "CC BY-SA 3.0"),
    "fashion-mnist": DownloadedSet("FashionMNIST", "MIT"),
    "kmnist": DownloadedSet("KMNIST", "CC BY-SA 4.0"),
    "cifar10": DownloadedSet("CIFAR10", NOT_STATED, channels_last=True),
    "cifar100": DownloadedSet("CIFAR100", NOT_STATED, channels_last=True),
    "svhn": DownloadedSet("SVHN", "non-commercial use only", **BY_SPLIT),
    "stl10": DownloadedSet("STL10", NOT_STATED, **BY_SPLIT),
}


def load_downloaded(name: str, seed: int, root: Path | None) -> ImageData:
    """Load the set `name` from `root`, downloading it when it is not there; `seed` draws val from train."""
    source = SETS[name]
    folder = (root or DEFAULT_ROOT).expanduser()
    train_source = _ask_torchvision(name, folder, source.train)
    train = _split(train_source, source.channels_last)
    test = _split(_ask_torchvision(name, folder, source.test), source.channels_last)
    val_positions, train_positions = stratified(train.labels.tolist(), [VAL_FRACTION], seed)
    return ImageData(
        name=name,
        classes=_classes(train_source, train.labels),
        train=_taken(train, train_positions),
        val=_taken(train, val_positions),
        test=test,
        licence=source.licence,
    )


def _ask_torchvision(name: str, folder: Path, arguments: dict[str, Any]) -> Any:
    datasets = importlib.import_module("torchvision.datasets")  # slow to import: only when it is used
    torchvision_class = getattr(datasets, SETS[name].torchvision_class)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return torchvision_class(folder, download=True, **arguments)  # downloads only what is missing
    except (OSError, RuntimeError, ImportError) as error:
        reason = " ".join(str(error).split())  # torchvision's messages run over several lines
        raise UserError(
            f"{name} must be in {folder} or be downloadable, but it is neither ({reason});"
            f" copy its files there, or use fashion-subset, which needs no network."
        ) from error


def _split(source: Any, channels_last: bool) -> Split:
    """torchvision's arrays, `(N, H, W)`, `(N, H, W, C)` or `(N, C, H, W)`, as a split."""
    images = torch.as_tensor(source.data)
    if images.ndim == 3:
        images = images[:, None]
    if channels_last:
        images = images.permute(0, 3, 1, 2).contiguous()
    labels = source.targets if hasattr(source, "targets") else source.labels
    return Split(images, torch.as_tensor(labels).long())


def _classes(source: Any, labels: torch.Tensor) -> tuple[str, ...]:
    """Class names, or numbers where torchvision has no names (SVHN, whose classes are digits)."""
    return tuple(getattr(source, "classes", None) or [str(label) for label in sorted(set(labels.tolist()))])


def _taken(split: Split, positions: list[int]) -> Split:
    index = torch.tensor(positions)
    return Split(split.images[index], split.labels[index])
