"""What every source of images ends as, and the conversions between forms of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch.nn import functional

from nas.errors import UserError

GREY, COLOUR = 1, 3
LUMA_WEIGHTS = (0.299, 0.587, 0.114)  # ITU-R BT.601, the weights of PIL's convert("L")


# Tensors have no single truth value, so comparing splits with == cannot work: `eq=False`, and
# `ImageData.fingerprint` is what to compare.
@dataclass(frozen=True, eq=False)
class Split:
    """Images and their labels, in the order of the source: shuffle before training."""

    images: torch.Tensor  # uint8 (N, C, H, W)
    labels: torch.Tensor  # int64 (N,), indices into ImageData.classes

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            raise ValueError(
                f"images must be uint8 (N, C, H, W), but got {self.images.dtype} {tuple(self.images.shape)}"
            )
        if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
            raise ValueError(
                f"labels must be int64 ({len(self.images)},), but got {self.labels.dtype} {tuple(self.labels.shape)}"
            )

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, eq=False)
class ImageData:
    """A data set in memory. All splits have the same channels and the same square size."""

    name: str
    classes: tuple[str, ...]
    train: Split
    val: Split
    test: Split
    licence: str

    @property
    def splits(self) -> dict[str, Split]:
        return {"train": self.train, "val": self.val, "test": self.test}

    @property
    def channels(self) -> int:
        return self.train.images.shape[1]

    @property
    def size(self) -> int:
        """Height and width of the images, in px."""
        return self.train.images.shape[2]

    @cached_property
    def mean(self) -> tuple[float, ...]:
        """Mean of each channel over the train split, on the scale where 255 is 1."""
        return tuple(float(mean) for mean in self._channel_moments[0])

    @cached_property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of each channel over the train split, on the scale where 255 is 1."""
        return tuple(float(std) for std in self._channel_moments[1])

    @cached_property
    def _channel_moments(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation, each `(C,)`, from counts of the 256 pixel values.

        Counts are whole numbers: no float copy of the images is made and nothing depends on summation order.
        """
        images = self.train.images
        counts = torch.stack([images[:, c].flatten().bincount(minlength=256) for c in range(images.shape[1])])
        share = counts.double() / counts.sum(dim=1, keepdim=True)
        values = torch.arange(256, dtype=torch.float64) / 255
        mean = share @ values
        variance = (share * (values - mean[:, None]) ** 2).sum(dim=1)
        return mean, variance.sqrt()

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hex, over shapes, labels and pixels of all splits: equal exactly when the data are."""
        digest = hashlib.sha256()
        for name, split in self.splits.items():
            digest.update(f"{name} {tuple(split.images.shape)};".encode())
            digest.update(split.labels.contiguous().numpy().data)
            digest.update(split.images.contiguous().numpy().data)
        return digest.hexdigest()


def to_channels(images: torch.Tensor, channels: int) -> torch.Tensor:
    """Return `images` `(N, C, H, W)` as `(N, channels, H, W)` of the same dtype.

    Grey becomes colour by repeating, colour becomes grey by luma weights; equal channels return the input.
    """
    received = images.shape[1]
    if channels == received:
        return images
    if (received, channels) == (GREY, COLOUR):
        return images.repeat(1, COLOUR, 1, 1)
    if (received, channels) == (COLOUR, GREY):
        return _luma(images)
    raise UserError(
        f"Images can be turned from {GREY} channel to {COLOUR} or back,"
        f" but got {received} channels and {channels} were asked; use {received}."
    )


def _luma(images: torch.Tensor) -> torch.Tensor:
    """Weighted sum of red, green and blue: `(N, 3, H, W)` → `(N, 1, H, W)`."""
    grey = sum(weight * images[:, c : c + 1] for c, weight in enumerate(LUMA_WEIGHTS))
    assert isinstance(grey, torch.Tensor)  # sum() starts from the int 0, which mypy keeps in the type
    return grey if images.is_floating_point() else grey.round_().to(images.dtype)


def shrunk_to(data: ImageData, size: int | None) -> ImageData:
    """Return `data` with images of at most `size` px, resampled with antialiasing."""
    if size is None or data.size <= size:
        return data
    return replace(data, train=_resized(data.train, size), val=_resized(data.val, size), test=_resized(data.test, size))


def _resized(split: Split, size: int) -> Split:
    images = functional.interpolate(split.images, (size, size), mode="bilinear", antialias=True)
    return Split(images, split.labels)
