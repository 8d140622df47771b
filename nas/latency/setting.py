"""Where and how a network is timed: what a table must say of itself to be comparable."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from search_spaces.arch import Arch
from search_spaces.cost import walk
from search_spaces.layers import Chain, Layer, Shape


@dataclass(frozen=True)
class Setting:
    """A backend's name, a device, CPU threads, images of one pass, and the precision of the arithmetic."""

    backend: str = "onnxruntime"
    device: str = "cpu"
    threads: int = 1
    batch: int = 1
    precision: str = "fp32"

    def __post_init__(self) -> None:
        """Raise `ValueError` where a field is of the wrong kind: tables come from files."""
        texts, counts = (self.backend, self.device, self.precision), (self.threads, self.batch)
        if not all(isinstance(text, str) for text in texts) or not all(type(n) is int and n >= 1 for n in counts):
            raise ValueError(
                f"a setting is a backend, a device, threads, images and a precision, but got {self!r:.200}"
            )

    @property
    def own_thread(self) -> bool:
        """Whether all work is done by the calling thread."""
        return self.device == "cpu" and self.threads == 1

    def __str__(self) -> str:
        threads = f", {self.threads} thread{'s' * (self.threads != 1)}" if self.device == "cpu" else ""
        return f"{self.backend} on {self.device}{threads}, batch {self.batch}, {self.precision}"


@dataclass(frozen=True)
class Subject:
    """What is timed: parts one after another, their keys in a table, and the shape that the first reads."""

    parts: Chain
    keys: tuple[str, ...]
    shape: Shape

    @staticmethod
    def of(arch: Arch, in_channels: int = 3, num_classes: int = 1000) -> Subject:
        """A network as stem, blocks and head."""
        layers = tuple(layer for _, _, layer, _ in walk(arch, in_channels, num_classes))
        shape = Shape(in_channels, arch.resolution, arch.resolution)
        return Subject(Chain(layers, tuple(map(str, range(len(layers))))), keys(arch, in_channels, num_classes), shape)

    def placed(self) -> Iterator[tuple[str, Layer, Shape]]:
        """Key, layer and input shape of each part."""
        shape = self.shape
        for key, layer in zip(self.keys, self.parts.layers, strict=True):
            yield key, layer, shape
            shape = layer.out(shape)


def keys(arch: Arch, in_channels: int = 3, num_classes: int = 1000) -> tuple[str, ...]:
    """One key for the stem, for each block and for the head, in order."""
    steps = walk(arch, in_channels, num_classes)
    said = [stem_key(str(arch.stem), steps[0][3])]
    strides = [stage.stride if i == 0 else 1 for stage in arch.stages for i in range(stage.depth)]
    widths = [stage.width for stage in arch.stages for _ in range(stage.depth)]
    blocks: Sequence[tuple[str, Shape]] = [(text, shape) for _, text, _, shape in steps[1:-1]]
    said += [block_key(t, w, s, shape) for (t, shape), w, s in zip(blocks, widths, strides, strict=True)]
    return (*said, head_key(str(arch.head), num_classes, steps[-1][3]))


def stem_key(text: str, shape: Shape) -> str:
    """`conv_stem(width=32) @ 3×224×224`."""
    return f"{text} @ {shape}"


def block_key(text: str, width: int, stride: int, shape: Shape) -> str:
    """`inverted_residual(kernel=5) c32 s2 @ 16×112×112`: a block, as a stage would read, and what reaches it."""
    return f"{text} c{width}{f' s{stride}' if stride != 1 else ''} @ {shape}"


def head_key(text: str, num_classes: int, shape: Shape) -> str:
    """`pool_head(width=1280) 1000 classes @ 320×7×7`."""
    return f"{text} {num_classes} classes @ {shape}"


def processor() -> str:
    """The CPU's model, as the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()
