"""Images in memory: stratified splits, conversions of channels, and the fingerprint."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nas.data import ImageData, Split, to_channels
from nas.data.splits import stratified
from nas.errors import UserError

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
