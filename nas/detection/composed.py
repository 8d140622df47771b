"""A detection set composed from classification images: several of them on a canvas, so that boxes are known."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from nas.data import ImageData
from nas.errors import UserError
from search_spaces.part import one_of

TRIES = 40  # places tried for an object before it is left out
SHADE = 16  # grey level from which on a pixel belongs to its object: below is the images' own background


@dataclass(frozen=True, eq=False)
class Scenes:
    """Composed images and what is on them, on one device.

    images: uint8 (N, C, size, size).
    targets: for each {"boxes": float32 (K, 4) as x1, y1, x2, y2 in px, "labels": int64 (K,) from 1}, K >= 1.
    classes: names by label; the first is the background.
    """

    images: Tensor
    targets: list[dict[str, Tensor]]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, chosen: Tensor) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
        """Images as floats from 0 to 1 (C, size, size) and their targets, as detectors read them."""
        numbers = [int(i) for i in chosen]
        return [self.images[i].float() / 255 for i in numbers], [self.targets[i] for i in numbers]

    def to(self, device: torch.device) -> Scenes:
        """The same on another device."""
        targets = [{name: value.to(device) for name, value in target.items()} for target in self.targets]
        return Scenes(self.images.to(device), targets, self.classes)

    @property
    def moments(self) -> tuple[list[float], list[float]]:
        """Mean and deviation a channel, on the scale where 255 is 1: a detector's `mean` and `std`."""
        pixels = self.images.cpu().transpose(0, 1).flatten(1).double() / 255  # not every device has doubles
        return pixels.mean(1).tolist(), pixels.std(1).clamp_min(1e-3).tolist()


def compose(
    data: ImageData,
    split: str,
    count: int,
    *,
    size: int = 112,
    objects: tuple[int, int] = (1, 4),
    scale: tuple[float, float] = (0.8, 1.6),
    overlap: float = 0.1,
    noise: int = 48,
    seed: int = 0,
) -> Scenes:
    """Paste images of one split at random places and scales on noisy canvases; the same seed, the same scenes.

    An object are the pixels of its image that are not dark, and its box is the tightest around them: pixels whose
    left upper corners lie from (x1, y1) up to but without (x2, y2).

    Args:
        data, split: where the objects come from; scenes of different splits share none.
        count: how many scenes.
        size: side of the canvas, in px.
        objects: fewest and most objects of a scene; some of the later may find no place.
        scale: smallest and largest factor on the images' own size.
        overlap: largest part of an object's box that may lie in another's.
        noise: brightest grey level of the canvas's noise; 0 for black.
        seed: of everything drawn.

    Raises:
        UserError: no such split, ranges that are empty, no grey level, or objects that are larger than the canvas.
    """
    _check(data, split, count, size, objects, scale, noise)
    source = data.splits[split]
    generator = torch.Generator().manual_seed(seed)
    canvases = torch.randint(noise + 1, (count, data.channels, size, size), generator=generator, dtype=torch.uint8)
    targets = []
    for canvas in canvases:
        boxes, labels = torch.empty(0, 4), []
        for _ in range(int(torch.randint(objects[0], objects[1] + 1, (), generator=generator))):
            i = int(torch.randint(len(source), (), generator=generator))
            tile, mask = _scaled(source.images[i], _between(*scale, generator))
            place = _place(mask, boxes, size, overlap, generator)
            if place is not None:
                x, y = (int(v) for v in place[:2])
                height, width = mask.shape
                canvas[:, y : y + height, x : x + width].copy_(
                    torch.where(mask, tile, canvas[:, y : y + height, x : x + width])
                )
                boxes = torch.cat([boxes, place[None]])
                labels.append(int(source.labels[i]) + 1)
        targets.append({"boxes": boxes, "labels": torch.tensor(labels)})
    return Scenes(canvases, targets, ("background", *data.classes))


def _check(
    data: ImageData,
    split: str,
    count: int,
    size: int,
    objects: tuple[int, int],
    scale: tuple[float, float],
    noise: int,
) -> None:
    if split not in data.splits:
        raise UserError(f"a split is {one_of(split, list(data.splits))}, but got {split!r}")
    if data.size * scale[1] > size or not 0 < scale[0] <= scale[1]:
        raise UserError(
            f"objects must fit the canvas, 0 < smallest <= largest scale and {data.size} px × largest <= {size} px, "
            f"but got scale {scale}"
        )
    if not 1 <= objects[0] <= objects[1] or count < 1:
        raise UserError(
            f"1 <= fewest <= most objects must hold, on 1 scene or more, but got objects {objects}, count {count}"
        )
    if not 0 <= noise <= 255:
        raise UserError(f"noise must be a grey level, 0 to 255, but got {noise}")


def _between(low: float, high: float, generator: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _scaled(image: Tensor, factor: float) -> tuple[Tensor, Tensor]:
    """An image at another size, cut to its object: uint8 (C, h, w), and which pixels are the object's (h, w)."""
    side = max(1, round(image.shape[-1] * factor))
    sized = F.interpolate(image[None].float(), (side, side), mode="bilinear", antialias=side < image.shape[-1])
    tile = sized[0].round().clamp(0, 255).to(torch.uint8)
    mask = tile.amax(0) >= SHADE
    if not mask.any():  # a black image: all of it is the object
        return tile, torch.ones_like(mask)
    rows, columns = (torch.nonzero(mask.any(axis))[:, 0] for axis in (1, 0))
    cut = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
    return tile[:, *cut], mask[cut]


def _place(mask: Tensor, boxes: Tensor, size: int, overlap: float, generator: torch.Generator) -> Tensor | None:
    """A box (4,) where the object covers little of the others and they little of it, or None."""
    height, width = mask.shape
    for _ in range(TRIES):
        x = int(torch.randint(size - width + 1, (), generator=generator))
        y = int(torch.randint(size - height + 1, (), generator=generator))
        box = torch.tensor([x, y, x + width, y + height], dtype=torch.float32)
        if not len(boxes) or _covered(box, boxes) <= overlap:
            return box
    return None


def _covered(box: Tensor, others: Tensor) -> float:
    """The largest part of the smaller box that a pair shares (IoU would let a small one vanish in a large one)."""
    shared = (torch.minimum(box[2:], others[:, 2:]) - torch.maximum(box[:2], others[:, :2])).clamp_min(0).prod(1)
    areas = torch.minimum((box[2:] - box[:2]).prod(), (others[:, 2:] - others[:, :2]).prod(1))
    return float((shared / areas).max())
