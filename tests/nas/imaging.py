"""Image files, and what can be said of a data set in a word: what the tests of data share."""

from __future__ import annotations

import gzip
import hashlib
import random
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas.data import ImageData, Split
from nas.errors import UserError


def save(path: Path, size: tuple[int, int] = (8, 8), mode: str = "RGB", colour: object = None) -> Path:
    """Write an image of one colour; without one, of noise that the path's last two names decide."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if colour is None:
        noise = random.Random("/".join(path.parts[-2:])).randbytes(size[0] * size[1] * 3)
        Image.frombytes("RGB", size, noise).convert(mode).save(path)
    else:
        Image.new(mode, size, colour).save(path)  # type: ignore[arg-type]
    return path


def make_folder(folder: Path, counts: dict[str, int], **options: object) -> Path:
    for name, count in counts.items():
        for number in range(count):
            save(folder / name / f"{number}.png", **options)  # type: ignore[arg-type]
    return folder


def hashes(split: Split) -> list[str]:
    return [hashlib.sha256(image.numpy().tobytes()).hexdigest() for image in split.images]


def class_counts(split: Split) -> list[int]:
    return split.labels.bincount().tolist()


def same_data(one: ImageData, other: ImageData) -> bool:
    return one.fingerprint == other.fingerprint and one.classes == other.classes


def write_idx(path: Path, array: np.ndarray) -> None:
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, dtype=">i4").tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(header + array.tobytes()))


def fake_fashion_mnist(folder: Path, per_class: int = 20) -> Path:
    """The four IDX files with noise, labels in a mixed order."""
    generator = np.random.default_rng(0)
    for prefix in ("train", "t10k"):
        labels = generator.permutation(np.repeat(np.arange(10, dtype=np.uint8), per_class))
        images = generator.integers(0, 256, (len(labels), 28, 28), dtype=np.uint8)
        images[:, 0, 0] = labels  # so that a test can see whether image and label still belong together
        write_idx(folder / f"{prefix}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte.gz", labels)
    return folder


def assert_one_sentence(error: pytest.ExceptionInfo[UserError]) -> None:
    message = str(error.value)
    assert "\n" not in message
    assert re.fullmatch(r"[A-Za-z].*\.", message), message
