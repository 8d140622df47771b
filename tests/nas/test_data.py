"""Images in memory: the embedded set, folders, downloaded sets, splits, and the sentences of the errors."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nas.data import ImageData, Split, decoding, known_names, load, memory, to_channels
from nas.data.splits import stratified
from nas.datasets import make_fashion_subset as maker
from nas.errors import UserError

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


# ---------------------------------------------------------------- helpers


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


def only_image(tmp_path: Path, size: int | None = None) -> torch.Tensor:
    """The first train image `(C, H, W)` of class `a` in a folder."""
    return load(str(tmp_path), size=size).train.images[0]


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


# ---------------------------------------------------------------- splits


@given(
    counts=st.lists(st.integers(3, 40), min_size=1, max_size=5),
    seed=st.integers(0, 99),
    fractions=st.sampled_from([[0.15, 0.15], [0.1], [0.3, 0.3]]),
)
def test_stratified_parts_are_disjoint_complete_and_proportional(
    counts: list[int], seed: int, fractions: list[float]
) -> None:
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    random.Random(seed).shuffle(labels)
    parts = stratified(labels, fractions, seed)
    assert sorted(position for part in parts for position in part) == list(range(len(labels)))
    for label, count in enumerate(counts):
        sizes = [sum(labels[position] == label for position in part) for part in parts]
        assert sizes[:-1] == [max(1, round(fraction * count)) for fraction in fractions]
        assert sizes[-1] >= 1
    assert stratified(labels, fractions, seed) == parts


def test_another_seed_gives_another_split() -> None:
    labels = [0] * 50 + [1] * 50
    assert stratified(labels, [0.15], seed=0) != stratified(labels, [0.15], seed=1)


# ---------------------------------------------------------------- folders


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


# ---------------------------------------------------------------- downloaded sets


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


# ---------------------------------------------------------------- errors


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


# ---------------------------------------------------------------- conversions and identity


def test_to_channels() -> None:
    grey = torch.arange(8, dtype=torch.uint8).reshape(2, 1, 2, 2)
    colour = to_channels(grey, 3)
    assert colour.shape == (2, 3, 2, 2)
    assert all(colour[:, [c]].equal(grey) for c in range(3))
    assert to_channels(grey, 1) is grey
    assert to_channels(colour, 1).equal(grey)
    assert to_channels(colour, 1).dtype == torch.uint8
    with pytest.raises(UserError, match="got 3 channels and 4 were asked"):
        to_channels(colour, 4)


def test_luma_agrees_with_pil() -> None:
    pixels = torch.randint(256, (1, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    by_pil = Image.fromarray(pixels[0].permute(1, 2, 0).numpy()).convert("L")
    difference = to_channels(pixels, 1)[0, 0].int() - torch.from_numpy(np.array(by_pil)).int()
    assert difference.abs().max() <= 1
    assert difference.float().mean().abs() < 0.1  # rounded, not cut: that would be darker by a half
    white = to_channels(torch.full((1, 3, 1, 1), 255, dtype=torch.uint8), 1)
    assert white.item() == 255
    assert to_channels(torch.full((1, 3, 1, 1), 0.5), 1).item() == pytest.approx(0.5)


def blank(count: int) -> Split:
    return Split(torch.zeros(count, 1, 2, 2, dtype=torch.uint8), torch.arange(count))


def small_data(train: Split | None = None, val: Split | None = None, test: Split | None = None) -> ImageData:
    return ImageData("small", ("a", "b"), train or blank(2), val or blank(1), test or blank(1), "none")


@pytest.mark.parametrize("changed", ["train", "val", "test"])
def test_fingerprint_changes_with_one_pixel_or_label(changed: str) -> None:
    data = small_data()
    assert small_data().fingerprint == data.fingerprint
    split = data.splits[changed]
    images, labels = split.images.clone(), split.labels.clone()
    images[0, 0, 1, 1] = 1
    labels[0] = 1
    for other in (Split(images, split.labels), Split(split.images, labels)):
        splits = data.splits | {changed: other}
        assert small_data(**splits).fingerprint != data.fingerprint


def test_fingerprint_depends_on_the_shape() -> None:
    flat = Split(blank(2).images.reshape(2, 1, 1, 4), blank(2).labels)
    assert small_data(train=flat).fingerprint != small_data().fingerprint


def test_split_refuses_other_types() -> None:
    with pytest.raises(ValueError, match="images must be uint8"):
        Split(torch.zeros(1, 1, 2, 2), torch.zeros(1, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"labels must be int64 \(1,\)"):
        Split(torch.zeros(1, 1, 2, 2, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64))
