"""A data set as tensors on the device, and augmentation of whole batches at once.

After cifar10-airbench (Keller Jordan): no data loader, no workers, one copy of the images.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from nas import device as devices
from nas.data import ImageData, Split, to_channels

SHIFT = 1 / 8  # of the image's side, as CIFAR's 4 of 32 px


class Images:
    """A data set on a device, resized once for each resolution that candidates train at."""

    def __init__(self, data: ImageData, channels: int, device: torch.device) -> None:
        self.data, self.channels, self.device = data, channels, device
        self._kept: dict[tuple[str, int], tuple[Tensor, Tensor]] = {}
        moments = [torch.tensor(m).view(1, -1, 1, 1) for m in (data.mean, data.std)]
        mean, std = (to_channels(m, channels).to(device) for m in moments)
        self._scale, self._offset = 1 / (255 * std.clamp_min(1e-3)), mean / std.clamp_min(1e-3)

    def split(self, name: str, pixels: int) -> tuple[Tensor, Tensor]:
        """Images uint8 (N, C, px, px) and labels (N,), on the device."""
        if (name, pixels) not in self._kept:
            split: Split = self.data.splits[name]
            images = torch.cat([_resized(part, self.channels, pixels) for part in torch.split(split.images, 4096)])
            self._kept[name, pixels] = (
                images.to(self.device).contiguous(memory_format=devices.MEMORY_FORMAT),
                split.labels.to(self.device),
            )
        return self._kept[name, pixels]

    def normalised(self, images: Tensor) -> Tensor:
        """Zero mean and unit deviation a channel, by the training split's moments."""
        return images.float().mul_(self._scale).sub_(self._offset)


def _resized(images: Tensor, channels: int, pixels: int) -> Tensor:
    images = to_channels(images, channels)
    if images.shape[-1] == pixels:
        return images
    sized = F.interpolate(images.float(), (pixels, pixels), mode="bilinear", antialias=images.shape[-1] > pixels)
    return sized.round_().clamp_(0, 255).to(torch.uint8)


def augmented(images: Tensor, names: tuple[str, ...], generator: torch.Generator) -> Tensor:
    """A batch (N, C, H, W) with each image flipped, shifted or cut out at random, all at once on its device."""
    n, _, side, _ = images.shape

    def draw(high: int, shape: tuple[int, ...]) -> Tensor:  # drawn on the CPU: one sequence on every device
        return torch.randint(high, shape, generator=generator).to(images.device)

    if "flip" in names:
        images = torch.where(draw(2, (n, 1, 1, 1)).bool(), images.flip(-1), images)
    if "shift" in names:
        reach = max(1, round(SHIFT * side))
        padded = F.pad(images, (reach,) * 4, mode="reflect" if reach < side else "replicate")
        steps = torch.arange(side, device=images.device)
        rows, columns = (draw(2 * reach + 1, (n, 1)) + steps for _ in range(2))
        index = torch.arange(n, device=images.device).view(n, 1, 1)
        images = padded.permute(0, 2, 3, 1)[index, rows.unsqueeze(2), columns.unsqueeze(1)].permute(0, 3, 1, 2)
    if "cutout" in names:
        steps, half = torch.arange(side, device=images.device), max(1, side // 4)
        rows, columns = ((steps - draw(side, (n, 1))).abs() < half for _ in range(2))
        images = images.masked_fill((rows.unsqueeze(2) & columns.unsqueeze(1)).unsqueeze(1), 0)
    return images
