"""The data set that comes with the package, so that everything runs without a network."""

from __future__ import annotations

from importlib import resources

import numpy as np
import torch

from nas.data.images import ImageData, Split

NAME = "fashion-subset"
FILE = "fashion_subset.npz"  # made by nas/datasets/make_fashion_subset.py
LICENCE = "MIT, Copyright (c) 2017 Zalando SE, https://tech.zalando.com"
CLASSES = (
    "t-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)


def load_embedded() -> ImageData:
    """Read the embedded subset of Fashion-MNIST: grey, 28 px, 10 classes, its splits fixed in the file."""
    with (
        resources.files("nas.datasets").joinpath(FILE).open("rb") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):
        train, val, test = (
            _split(arrays[f"{part}_images"], arrays[f"{part}_labels"]) for part in ("train", "val", "test")
        )
    return ImageData(NAME, CLASSES, train, val, test, LICENCE)


def _split(images: np.ndarray, labels: np.ndarray) -> Split:
    """Images `(N, H, W)` and labels `(N,)`, both uint8, as a split."""
    return Split(torch.from_numpy(images)[:, None], torch.from_numpy(labels).long())
