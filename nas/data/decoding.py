"""Image files into one tensor: look at every header first, then decode in threads into memory set aside."""

from __future__ import annotations

import math
import os
import struct
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from nas.data.images import COLOUR, GREY
from nas.data.memory import available_bytes
from nas.errors import UserError
from nas.words import clock

A = TypeVar("A")
T = TypeVar("T")

DEEP_GREY_MODES = frozenset({"I;16", "I;16L", "I;16B", "I;16N", "I"})  # 16 bits a pixel; PIL reads some as 32
GREY_MODES = frozenset({"1", "L", "LA"}) | DEEP_GREY_MODES
TOLD_S = 10.0  # between words on how far it is
# What PIL's readers raise on damaged files, depending on the format and on where the damage is.
DAMAGED = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)


@dataclass(frozen=True)
class Form:
    """What all images of a data set are brought to."""

    channels: int
    size: int  # px, height and width


def survey(files: Sequence[Path], size: int) -> Form:
    """Read the headers of `files` and return the form they fit: at most `size` px, grey only if all are grey.

    Raises a UserError where their headers cannot be read, or for `check_memory`'s reason.
    """
    headers = set(_in_threads(_header, files, "looking at images"))
    channels = GREY if {mode for mode, _ in headers} <= GREY_MODES else COLOUR
    sizes = {wide_high for _, wide_high in headers}
    width, height = next(iter(sizes))
    keeps_size = len(sizes) == 1 and width == height <= size
    form = Form(channels, width if keeps_size else size)
    check_memory(len(files), form)
    return form


def decode(files: Sequence[Path], form: Form) -> np.ndarray:
    """Decode `files` into uint8 `(N, C, H, W)`: shorter side resized to `form.size`, then centre-cropped."""
    images = np.empty((len(files), form.channels, form.size, form.size), dtype=np.uint8)

    def decode_into(position: int) -> None:
        images[position] = _pixels(files[position], form)

    _in_threads(decode_into, range(len(files)), "decoding images")
    return images


def _in_threads(function: Callable[[A], T], arguments: Sequence[A], what: str) -> list[T]:
    """PIL lets go of the interpreter's lock while it decodes: threads use all cores and copy no images."""
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return list(_told(pool.map(function, arguments), len(arguments), what))


def _told(results: Iterable[T], count: int, what: str) -> Iterator[T]:
    """The results; where they take long, how far they are is said on stderr now and then."""
    begin = said = time.monotonic()
    for done, result in enumerate(results, 1):
        yield result
        if (now := time.monotonic()) - said > TOLD_S:
            said, left = now, (now - begin) / done * (count - done)
            print(f"{what}: {done:,} of {count:,}, {clock(left)} left", file=sys.stderr)


def _header(file: Path) -> tuple[str, tuple[int, int]]:
    """Mode and (width, height), without decoding."""
    with _opened(file) as image:
        return image.mode, image.size


def _pixels(file: Path, form: Form) -> np.ndarray:
    """The image as uint8 `(C, H, W)`."""
    with _opened(file) as image:
        # JPEGs can be decoded at 1/2, 1/4 or 1/8 scale, much faster; twice the size leaves it to the resize
        # below to decide what the image looks like.
        image.draft(None, (2 * form.size, 2 * form.size))
        upright = ImageOps.exif_transpose(image)  # cameras store the way up in a tag
        plain = _to_mode(upright, "L" if form.channels == GREY else "RGB")
        # fit = crop the centre to the shape and resize what is left; PIL's resize is antialiased.
        square = ImageOps.fit(plain, (form.size, form.size), Image.Resampling.BILINEAR)
    return np.asarray(square).reshape(form.size, form.size, form.channels).transpose(2, 0, 1)


def _to_mode(image: Image.Image, mode: str) -> Image.Image:
    """Convert to `L` or `RGB`. Transparency is dropped, showing the colours stored beneath it."""
    if image.mode in DEEP_GREY_MODES:  # PIL would cut every value above 255 to white
        image = Image.fromarray((np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8))
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # PIL asks for this detour where a palette has transparency
    return image.convert(mode)


@contextmanager
def _opened(file: Path) -> Iterator[Image.Image]:
    """Open an image file; damage found now or while decoding names the file."""
    try:
        with Image.open(file) as image:
            yield image
    except DAMAGED as error:
        reason = "no known image format" if isinstance(error, UnidentifiedImageError) else error
        raise UserError(
            f"Every image file must be readable, but {file} is not ({reason}); replace the file or delete it."
        ) from error


def check_memory(count: int, form: Form) -> None:
    """Raise a UserError when so many images would not fit in half of the memory that is available."""
    available = available_bytes()
    if available is None:
        return
    limit = available // 2  # the other half is for training
    needed = count * form.channels * form.size**2
    if needed > limit:
        fitting = math.isqrt(limit // (count * form.channels))
        raise UserError(
            f"Images must fit in half of the available memory, {limit / 1e9:.1f} GB, but {count:,} images of"
            f" {form.size} px need {needed / 1e9:.1f} GB; a size of {fitting} px fits."
        )
