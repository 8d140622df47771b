"""Folders of images: how they are split, and how files of all modes and sizes are read."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nas.data import load
from tests.nas.imaging import class_counts, hashes, make_folder, same_data, save

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def only_image(tmp_path: Path, size: int | None = None) -> torch.Tensor:
    """The first train image `(C, H, W)` of class `a` in a folder."""
    return load(str(tmp_path), size=size).train.images[0]


def test_folder_is_split_by_class(tmp_path: Path) -> None:
    data = load(str(make_folder(tmp_path / "pets", {"cat": 20, "dog": 40, "eel": 3})))
    assert data.name == "pets"
    assert data.classes == ("cat", "dog", "eel")
    assert class_counts(data.val) == class_counts(data.test) == [3, 6, 1]
    assert class_counts(data.train) == [14, 28, 1]
    seen = [digest for split in data.splits.values() for digest in hashes(split)]
    assert len(set(seen)) == 63


def test_folder_keeps_labels_with_images(tmp_path: Path) -> None:
    for name, colour in {"blue": BLUE, "green": GREEN, "red": RED}.items():
        make_folder(tmp_path / name, {".": 10}, colour=colour)
    for split in load(str(tmp_path)).splits.values():
        brightest_channel = split.images.float().mean((2, 3)).argmax(1)
        assert (2 - brightest_channel).equal(split.labels)


def test_folder_split_is_decided_by_the_seed_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_folder(tmp_path, {"cat": 20, "dog": 20})
    first = load(str(folder), seed=3)
    in_order, any_depth = Path.iterdir, Path.rglob
    monkeypatch.setattr(Path, "iterdir", lambda path: reversed(list(in_order(path))))
    monkeypatch.setattr(Path, "rglob", lambda path, pattern: reversed(list(any_depth(path, pattern))))
    assert same_data(load(str(folder), seed=3), first)
    assert not same_data(load(str(folder), seed=4), first)


@pytest.mark.parametrize("val_name", ["val", "valid", "Validation"])
def test_split_folders_are_kept(tmp_path: Path, val_name: str) -> None:
    make_folder(tmp_path / "train", {"cat": 7, "dog": 5})
    make_folder(tmp_path / val_name, {"cat": 1, "dog": 2})
    make_folder(tmp_path / "test", {"cat": 4, "dog": 3})
    data = load(str(tmp_path))
    assert [class_counts(split) for split in data.splits.values()] == [[7, 5], [1, 2], [4, 3]]


def test_missing_splits_are_drawn_from_train(tmp_path: Path) -> None:
    make_folder(tmp_path / "train", {"cat": 20, "dog": 20})
    data = load(str(tmp_path))
    assert [class_counts(split) for split in data.splits.values()] == [[14, 14], [3, 3], [3, 3]]
    make_folder(tmp_path / "test", {"cat": 4, "dog": 3})
    data = load(str(tmp_path))
    assert [class_counts(split) for split in data.splits.values()] == [[17, 17], [3, 3], [4, 3]]


def test_train_may_be_a_class(tmp_path: Path) -> None:
    data = load(str(make_folder(tmp_path, {"bus": 3, "train": 3})))
    assert data.classes == ("bus", "train")


def test_folder_reads_all_modes_and_sizes_as_colour(tmp_path: Path) -> None:
    for number, (size, mode, suffix) in enumerate(
        [
            ((90, 70), "RGB", "png"),
            ((70, 200), "L", "png"),
            ((64, 64), "RGBA", "png"),
            ((33, 65), "P", "png"),
            ((65, 33), "1", "png"),
            ((300, 80), "RGB", "jpg"),
            ((80, 300), "CMYK", "jpg"),
            ((20, 20), "P", "gif"),
            ((70, 90), "RGB", "webp"),
            ((70, 90), "L", "TIFF"),
        ]
    ):
        save(tmp_path / "a" / f"{number}.{suffix}", size, mode)
        save(tmp_path / "b" / f"{number}.png", size)
    (tmp_path / "a" / "notes.txt").write_text("not an image")
    (tmp_path / "a" / "._0.png").write_text("a leftover")
    (tmp_path / ".cache").mkdir()
    data = load(str(tmp_path))
    assert data.train.images.shape == (2 * 6, 3, 64, 64)
    assert len(data.train) + len(data.val) + len(data.test) == 20


def test_folder_of_grey_files_stays_grey(tmp_path: Path) -> None:
    make_folder(tmp_path, {"a": 3}, mode="L", colour=200)
    make_folder(tmp_path, {"b": 3}, mode="1", colour=1)
    data = load(str(tmp_path))
    assert data.train.images.shape == (2, 1, 8, 8)
    assert data.train.images.amax((1, 2, 3)).tolist() == [200, 255]
    save(tmp_path / "b" / "colour.png", mode="RGB")
    assert load(str(tmp_path)).channels == 3


def test_sixteen_bit_grey_keeps_its_shades(tmp_path: Path) -> None:
    for name, value in {"a": 0x8000, "b": 0x2000}.items():
        for number in range(3):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(np.full((8, 8), value, np.uint16)).save(tmp_path / name / f"{number}.png")
    data = load(str(tmp_path))
    assert data.train.images[:, 0, 0, 0].tolist() == [0x80, 0x20]


def test_transparency_is_dropped(tmp_path: Path) -> None:
    make_folder(tmp_path, {"a": 3, "b": 3}, mode="RGBA", colour=(10, 20, 30, 0))
    assert only_image(tmp_path)[:, 0, 0].tolist() == [10, 20, 30]


def test_small_squares_keep_their_size(tmp_path: Path) -> None:
    folder = str(make_folder(tmp_path, {"a": 3, "b": 3}, size=(40, 40)))
    assert load(folder).size == load(folder, size=40).size == 40
    assert load(folder, size=24).size == 24
    save(tmp_path / "a" / "other.png", (41, 40))
    assert load(folder).size == 64
    assert load(folder, size=48).size == 48


def test_small_squares_come_out_pixel_for_pixel(tmp_path: Path) -> None:
    make_folder(tmp_path, {"a": 3, "b": 3}, size=(16, 16))
    data = load(str(tmp_path))
    expected = {
        hashlib.sha256(np.asarray(Image.open(path)).transpose(2, 0, 1).tobytes()).hexdigest()
        for path in tmp_path.rglob("*.png")
    }
    assert {digest for split in data.splits.values() for digest in hashes(split)} == expected


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_the_centre_is_cropped(tmp_path: Path, suffix: str) -> None:
    """Of a wide image, red | green | blue in squares, only the green one is left."""
    wide = Image.new("RGB", (384, 128), GREEN)
    wide.paste(RED, (0, 0, 128, 128))
    wide.paste(BLUE, (256, 0, 384, 128))
    for name in "ab":
        for number in range(3):
            (tmp_path / name).mkdir(exist_ok=True)
            wide.save(tmp_path / name / f"{number}.{suffix}")
    image = only_image(tmp_path, size=32).int()
    inside = image[:, 2:-2, 2:-2]
    assert image.shape == (3, 32, 32)
    assert inside[0].max() < 8
    assert inside[1].min() > 247
    assert inside[2].max() < 8


def test_resizing_is_antialiased(tmp_path: Path) -> None:
    """Stripes of 1 px become grey; taking every eighth pixel would leave them black or white."""
    stripes = np.zeros((256, 256), np.uint8)
    stripes[:, ::2] = 255
    for name in "ab":
        for number in range(3):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(stripes).save(tmp_path / name / f"{number}.png")
    inside = only_image(tmp_path, size=32)[0, 2:-2, 2:-2].int()
    assert (inside - 128).abs().max() < 10


def test_photos_are_turned_upright(tmp_path: Path) -> None:
    """A camera held sideways writes the turn into a tag: red on the left is red on top, turned clockwise."""
    photo = Image.new("RGB", (64, 64), BLUE)
    photo.paste(RED, (0, 0, 32, 64))
    tag = Image.Exif()
    tag[0x0112] = 6  # orientation: turn by 90 degrees clockwise to see it upright
    for name in "ab":
        for number in range(3):
            (tmp_path / name).mkdir(exist_ok=True)
            photo.save(tmp_path / name / f"{number}.jpg", exif=tag)
    image = only_image(tmp_path)
    assert image[0, :24].min() > 200
    assert image[2, 40:].min() > 200
