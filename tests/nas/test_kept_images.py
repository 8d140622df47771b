"""Decoded folders are kept: the same images come back, anew where anything changed, and without a cache, too."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nas.data import ImageData, decoding, folder, kept, load
from nas.errors import UserError
from tests.nas.imaging import make_folder, same_data, save


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that keeps what was decoded in no time."""
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(kept, "WORTH_S", -1.0)
    make_folder(tmp_path / "photos", {"cat": 8, "dog": 9})
    return tmp_path / "cache"


def photos(cache: Path, seed: int = 0, size: int | None = None) -> ImageData:
    return load(str(cache.parent / "photos"), seed=seed, size=size)


def undecoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "decode", None)
    monkeypatch.setattr(folder, "survey", None)


def files(cache: Path) -> list[Path]:
    return sorted(cache.iterdir())


def test_what_was_decoded_is_not_decoded_again_whatever_the_seed(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as without:
        without.setenv("NAS_CACHE", "")
        plain = [photos(cache, seed) for seed in (0, 1)]
    assert not cache.exists()
    assert same_data(photos(cache), plain[0])
    undecoded(monkeypatch)
    for seed in (0, 1):
        again = photos(cache, seed)
        assert same_data(again, plain[seed])
        again.train.images[0] = 0  # its own, not the file's
        assert same_data(photos(cache, seed), plain[seed])
    assert len(files(cache)) == 1


def test_whatever_changes_is_decoded_anew(cache: Path) -> None:
    seen = {photos(cache).fingerprint}
    save(cache.parent / "photos" / "cat" / "0.png", colour=(9, 9, 9))
    seen.add(photos(cache).fingerprint)
    save(cache.parent / "photos" / "dog" / "9.png")
    seen.add(photos(cache).fingerprint)
    seen.add(photos(cache, size=5).fingerprint)
    assert len(seen) == len(files(cache)) == 4


@pytest.mark.parametrize("damage", [b"", b"not an array", None])
def test_a_damaged_file_is_made_anew(cache: Path, damage: bytes | None) -> None:
    before = photos(cache)
    (path,) = files(cache)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100] if damage is None else damage)
    assert same_data(photos(cache), before)
    assert path.read_bytes() == whole


def test_where_nothing_can_be_kept_images_are_decoded(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = photos(cache)
    monkeypatch.setenv("NAS_CACHE", str(files(cache)[0] / "below a file"))
    assert same_data(photos(cache), before)
    monkeypatch.setenv("NAS_CACHE", str(cache.parent / "full"))
    monkeypatch.setattr(kept, "SHARE", 0.0)
    assert same_data(photos(cache), before)
    assert not files(cache.parent / "full")
    monkeypatch.setenv("NAS_CACHE", "~nobody-of-this-name/cache")
    assert same_data(photos(cache), before)


def test_memory_is_asked_before_kept_images_are_read(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos(cache)
    monkeypatch.setattr(decoding, "available_bytes", lambda: 5000)
    with pytest.raises(UserError, match="Images must fit in half of the available memory"):
        photos(cache)


def test_what_was_not_used_for_long_goes(cache: Path) -> None:
    photos(cache)
    (old,) = files(cache)
    os.utime(old, (0, 0))
    photos(cache)  # used again
    photos(cache, size=5)
    assert len(files(cache)) == 2
    os.utime(old, (0, 0))
    photos(cache, size=6)
    assert old not in files(cache)


def test_what_takes_long_says_how_far_it_is(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    photos(cache)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(decoding, "TOLD_S", -1.0)
    photos(cache, size=5)
    assert "decoding images: 8 of 17, " in capsys.readouterr().err
