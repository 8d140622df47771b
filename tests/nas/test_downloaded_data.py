"""Downloaded sets: their splits and pixels, and what is said when a download fails."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from nas.data import known_names, load
from nas.errors import UserError
from tests.nas.imaging import assert_one_sentence, class_counts, fake_fashion_mnist, hashes, same_data


def test_downloaded_set_gets_a_seeded_val_split(tmp_path: Path) -> None:
    fake_fashion_mnist(tmp_path / "FashionMNIST" / "raw")
    for file in (tmp_path / "FashionMNIST" / "raw").iterdir():
        file.with_suffix("").write_bytes(gzip.decompress(file.read_bytes()))  # as torchvision leaves them
    data = load("fashion-mnist", root=tmp_path)
    assert [class_counts(split) for split in data.splits.values()] == [[18] * 10, [2] * 10, [20] * 10]
    assert data.train.images.shape == (180, 1, 28, 28)
    assert data.train.images[:, 0, 0, 0].long().equal(data.train.labels)
    assert not set(hashes(data.train)) & set(hashes(data.val))
    assert len(data.classes) == 10
    assert same_data(load("fashion-mnist", root=tmp_path), data)
    assert not same_data(load("fashion-mnist", root=tmp_path, seed=1), data)


class FakeSet:
    """Answers like torchvision: pixels in `data`, labels in `targets` or `labels`."""

    def __init__(self, shape: Sequence[int], labels_name: str, asked: list[dict[str, object]]) -> None:
        self.shape, self.labels_name, self.asked = shape, labels_name, asked

    def __call__(self, folder: Path, **arguments: object) -> FakeSet:
        self.asked.append(arguments)
        self.data = np.arange(np.prod([20, *self.shape]), dtype=np.int64).astype(np.uint8).reshape(20, *self.shape)
        setattr(self, self.labels_name, np.arange(20) % 2 if self.labels_name == "labels" else [0, 1] * 10)
        return self


@pytest.mark.parametrize(
    ("name", "torchvision_class", "shape", "labels_name", "asked_for_train"),
    [
        ("cifar10", "CIFAR10", (32, 32, 3), "targets", {"train": True}),
        ("svhn", "SVHN", (3, 32, 32), "labels", {"split": "train"}),
    ],
)
def test_downloaded_pixels_come_out_channels_first(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    torchvision_class: str,
    shape: tuple[int, ...],
    labels_name: str,
    asked_for_train: dict[str, object],
) -> None:
    asked: list[dict[str, object]] = []
    fake = FakeSet(shape, labels_name, asked)
    monkeypatch.setattr(f"torchvision.datasets.{torchvision_class}", fake)
    data = load(name, root=tmp_path)
    assert asked[0] == {"download": True, **asked_for_train}
    assert data.test.images.shape == (20, 3, 32, 32)
    expected = fake.data if shape[0] == 3 else fake.data.transpose(0, 3, 1, 2)
    assert np.array_equal(data.test.images.numpy(), expected)
    assert data.classes == ("0", "1")
    assert len(data.val) == 2


def test_failed_download_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise RuntimeError("Error downloading it:\nTried a mirror, got:\nno network\n")

    monkeypatch.setattr("torchvision.datasets.CIFAR10", unreachable)
    with pytest.raises(UserError, match=r"cifar10 must be in .* or be downloadable.*fashion-subset") as error:
        load("cifar10", root=tmp_path)
    assert_one_sentence(error)


def test_every_row_names_a_class_of_torchvision() -> None:
    from torchvision import datasets  # type: ignore[import-untyped]

    from nas.data.downloaded import SETS

    assert all(hasattr(datasets, source.torchvision_class) for source in SETS.values())
    assert known_names()[0] == "fashion-subset"
    assert {"cifar10", "cifar100", "fashion-mnist", "mnist", "svhn"} <= set(known_names())
