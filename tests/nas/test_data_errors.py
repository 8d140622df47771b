"""Mistakes in data are one sentence, and memory is asked before images are decoded."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas.data import decoding, load, memory
from nas.errors import UserError
from tests.nas.imaging import assert_one_sentence, make_folder, save


def test_unknown_name_lists_the_known() -> None:
    with pytest.raises(UserError, match="'cifar11'; the known names are fashion-subset, cifar10") as error:
        load("cifar11")
    assert_one_sentence(error)


def no_sub_folders(folder: Path) -> None:
    save(folder / "1.png")


def no_images(folder: Path) -> None:
    (folder / "cat").mkdir()
    (folder / "dog").mkdir()


def one_class(folder: Path) -> None:
    make_folder(folder, {"cat": 5})


def too_few_images(folder: Path) -> None:
    make_folder(folder, {"cat": 5, "dog": 2})


def too_few_images_in_train(folder: Path) -> None:
    make_folder(folder / "train", {"cat": 5, "dog": 1})
    make_folder(folder / "test", {"cat": 5, "dog": 5})


def an_empty_class_in_val(folder: Path) -> None:
    make_folder(folder / "train", {"cat": 5, "dog": 5})
    make_folder(folder / "val", {"cat": 5})
    (folder / "val" / "dog").mkdir()


def a_text_file_named_png(folder: Path) -> None:
    make_folder(folder, {"cat": 5, "dog": 5})
    (folder / "dog" / "3.png").write_text("hello")


def a_truncated_file(folder: Path) -> None:
    make_folder(folder, {"cat": 5, "dog": 5}, size=(32, 32))
    path = folder / "dog" / "4.png"
    path.write_bytes(path.read_bytes()[:-800])


def other_classes_in_test(folder: Path) -> None:
    make_folder(folder / "train", {"cat": 5, "dog": 5})
    make_folder(folder / "test", {"cat": 5, "eel": 5})


def splits_without_classes(folder: Path) -> None:
    make_folder(folder, {"train": 5, "Test": 5})


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (no_sub_folders, "must hold one sub-folder a class, but .* holds none; arrange it as"),
        (no_images, "must hold image files, but there is none .* files that end in .*png"),
        (one_class, "needs at least 2 classes, but .* holds only 'cat'; add"),
        (too_few_images, "at least 3 images to be split into val, test and train, but 'dog' has 2; add"),
        (too_few_images_in_train, "at least 2 images to be split into val and train, but 'dog' has 1; add"),
        (an_empty_class_in_val, "at least 1 image in val/, but 'dog' has 0; add"),
        (a_text_file_named_png, r"must be readable, but .*3\.png is not \(no known .*; replace .* or delete"),
        (a_truncated_file, r"must be readable, but .*4\.png is not \(.*; replace .* or delete"),
        (other_classes_in_test, "the same classes, but .*test lacks dog and adds eel compared with .*train;"),
        (splits_without_classes, "one sub-folder a class each, but .* holds Test and train without classes"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_folder_mistakes_are_one_sentence(tmp_path: Path, make: object, sentence: str) -> None:
    make(tmp_path)  # type: ignore[operator]
    with pytest.raises(UserError, match=sentence) as error:
        load(str(tmp_path))
    assert_one_sentence(error)


def test_missing_folder_and_file_for_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"must be a folder .* is missing; check the path") as error:
        load(str(tmp_path / "nowhere"))
    assert_one_sentence(error)
    with pytest.raises(UserError, match=r"must be a folder .* is a file; check the path"):
        load(str(save(tmp_path / "a.png")))


def test_size_must_be_positive() -> None:
    with pytest.raises(UserError, match="at least 1 px, but got 0"):
        load("fashion-subset", size=0)


def test_memory_is_asked_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_folder(tmp_path, {"a": 5, "b": 5}, size=(70, 60))
    monkeypatch.setattr(decoding, "available_bytes", lambda: 2 * 10 * 3 * 50 * 50)
    with pytest.raises(UserError, match=r"10 images of 64 px need .* a size of 50 px fits") as error:
        load(str(tmp_path))
    assert_one_sentence(error)
    assert load(str(tmp_path), size=50).size == 50


def test_available_memory_is_the_smaller_of_system_and_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    (tmp_path / "meminfo").write_text("MemTotal:       9000 kB\nMemAvailable:    5000 kB\n")
    assert memory.available_bytes() == 5000 * 1024
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 600\ninactive_file 50\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available_bytes() == 5000 * 1024
    (tmp_path / "memory.max").write_text("1000\n")
    assert memory.available_bytes() == 350
