"""The embedded set: what it holds, and how it is made."""

from __future__ import annotations

import gzip
import hashlib
import io
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch

from nas.data import ImageData, Split, load
from nas.datasets import make_fashion_subset as maker
from tests.nas.imaging import class_counts, fake_fashion_mnist, hashes, make_folder, same_data

# ---------------------------------------------------------------- the embedded set


@pytest.fixture(scope="module")
def embedded() -> ImageData:
    return load("fashion-subset")


@pytest.mark.parametrize(("split", "per_class"), [("train", 1000), ("val", 300), ("test", 300)])
def test_embedded_set_is_balanced(embedded: ImageData, split: str, per_class: int) -> None:
    part = embedded.splits[split]
    assert part.images.shape == (10 * per_class, 1, 28, 28)
    assert class_counts(part) == [per_class] * 10
    assert class_counts(Split(part.images[:100], part.labels[:100])) == [10] * 10
    assert len(embedded.classes) == 10


def test_embedded_set_repeats_no_image(embedded: ImageData) -> None:
    seen = [digest for split in embedded.splits.values() for digest in hashes(split)]
    assert len(set(seen)) == len(seen) == 16_000


def test_embedded_set_is_the_one_described_beside_it(embedded: ImageData) -> None:
    datasets = resources.files("nas.datasets")
    content = datasets.joinpath("fashion_subset.npz").read_bytes()
    readme = datasets.joinpath("README.md").read_text(encoding="utf-8")
    assert len(content) <= 8_000_000
    assert hashlib.sha256(content).hexdigest() in readme
    assert embedded.fingerprint in readme
    assert "Zalando SE" in datasets.joinpath("FASHION-MNIST-LICENSE.txt").read_text(encoding="utf-8")


def test_embedded_labels_belong_to_the_images(embedded: ImageData) -> None:
    """The nearest class mean tells clothes apart far above chance (0.1): labels are not shuffled."""
    train, val = embedded.train, embedded.val
    means = torch.stack([train.images[train.labels == c].float().mean(0).flatten() for c in range(10)])
    nearest = torch.cdist(val.images.float().flatten(1), means).argmin(1)
    assert (nearest == val.labels).float().mean() > 0.6


def test_mean_and_std_are_those_of_train(embedded: ImageData) -> None:
    pixels = embedded.train.images.double() / 255
    assert embedded.mean == pytest.approx([pixels.mean().item()])
    assert embedded.std == pytest.approx([pixels.std(correction=0).item()])


def test_mean_is_a_number_for_each_channel(tmp_path: Path) -> None:
    make_folder(tmp_path, {"a": 3, "b": 3}, colour=(255, 51, 0))
    data = load(str(tmp_path))
    assert data.mean == pytest.approx((1.0, 0.2, 0.0))
    assert data.std == pytest.approx((0.0, 0.0, 0.0))


def test_size_shrinks_and_never_enlarges(embedded: ImageData) -> None:
    smaller = load("fashion-subset", size=14)
    assert smaller.train.images.shape == (10_000, 1, 14, 14)
    assert smaller.val.labels.equal(embedded.val.labels)
    assert smaller.mean == pytest.approx(embedded.mean, abs=0.01)
    assert same_data(load("fashion-subset", size=64), embedded)


# ---------------------------------------------------------------- making the embedded set


def test_subset_is_stratified_and_keeps_labels_with_images(tmp_path: Path) -> None:
    arrays = maker.make_subset(fake_fashion_mnist(tmp_path), seed=0, train=6, val=3, test=2)
    for split, per_class in (("train", 6), ("val", 3), ("test", 2)):
        images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
        assert np.bincount(labels).tolist() == [per_class] * 10
        assert images.shape == (10 * per_class, 28, 28)
        assert (images[:, 0, 0] == labels).all()
    drawn = [image.tobytes() for split in ("train", "val", "test") for image in arrays[f"{split}_images"]]
    assert len(set(drawn)) == 110


def test_subset_is_the_same_bytes_on_every_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = fake_fashion_mnist(tmp_path)

    def content(name: str, seed: int) -> bytes:
        maker.write_npz(tmp_path / name, maker.make_subset(source, seed, train=6, val=3, test=2))
        return (tmp_path / name).read_bytes()

    first = content("first.npz", seed=0)
    monkeypatch.setattr("time.time", lambda: 2e9)  # a zip entry's time comes from here unless it is given
    assert content("second.npz", seed=0) == first
    assert content("third.npz", seed=1) != first
    with np.load(io.BytesIO(first), allow_pickle=False) as arrays:
        assert arrays["train_images"].dtype == np.uint8


def test_subset_needs_idx_files(tmp_path: Path) -> None:
    (tmp_path / "images.gz").write_bytes(gzip.compress(b"something else"))
    with pytest.raises(ValueError, match="must be an IDX file"):
        maker.read_idx(tmp_path / "images.gz")
