"""The exact cost of a network, read off its layers in microseconds, without building it.

`flops` is what fvcore's `FlopCountAnalysis` says of the module in eval mode at batch 1: one
multiply-add is one FLOP, batch norm counts 2 an element, adaptive average pooling 1 an input
element; activations, sums, products, max and plain average pooling count nothing. `macs` is the
convolution and linear part of it, the number that papers print.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from search_spaces.arch import Arch, Stage, block_layer
from search_spaces.errors import ArchError
from search_spaces.layers import (
    Act,
    AdaptivePool,
    Add,
    AvgPool,
    BatchNorm,
    Chain,
    Combinator,
    Conv,
    Flatten,
    Identity,
    Layer,
    Linear,
    MaxPool,
    Multiply,
    Pointwise,
    Shape,
    Shuffle,
)
from search_spaces.part import Block, Head, Stem

BYTES_PER_PARAM = 4  # fp32


@dataclass(frozen=True)
class Cost:
    """What a network or a part of it costs, for one image.

    flops: fvcore's count. macs: convolution and linear multiply-adds. params: learned numbers.
    activations: elements that convolutions and linear layers write (pycls's and fvcore's word).
    peak_activations: most elements alive at once in inference, when a map is freed after its last
    reader, elementwise layers work in place and branches run in order.
    """

    flops: int = 0
    macs: int = 0
    params: int = 0
    activations: int = 0
    peak_activations: int = 0

    def __add__(self, other: Cost) -> Cost:
        """Cost of one part after another: sums, and the larger peak."""
        return Cost(
            self.flops + other.flops,
            self.macs + other.macs,
            self.params + other.params,
            self.activations + other.activations,
            max(self.peak_activations, other.peak_activations),
        )

    @property
    def size_bytes(self) -> int:
        """Bytes of the parameters in fp32."""
        return self.params * BYTES_PER_PARAM


@dataclass(frozen=True)
class TimedCost(Cost):
    """A cost with the nanoseconds that a table of latencies predicts (`search_spaces.latency`)."""

    latency_ns: int = 0

    def __add__(self, other: Cost) -> TimedCost:
        return timed(super().__add__(other), self.latency_ns + getattr(other, "latency_ns", 0))


def timed(cost: Cost, latency_ns: int) -> TimedCost:
    """The cost with a latency."""
    return TimedCost(cost.flops, cost.macs, cost.params, cost.activations, cost.peak_activations, latency_ns)


@dataclass(frozen=True)
class Row:
    """One line of a ledger: a stem, a block or a head, and where it stands."""

    name: str
    text: str
    input: Shape
    output: Shape
    cost: Cost
    uncounted: tuple[tuple[str, int], ...]
    """(operation, output elements) that count nothing in `flops`, as fvcore leaves them out."""

    def as_data(self) -> dict[str, Any]:
        """The line as plain values."""
        counted = {name: getattr(self.cost, name) for name in ("flops", "macs", "params", "activations")}
        shapes = {"input": list(self.input), "output": list(self.output)}
        return {"name": self.name, "text": self.text, **shapes, **counted, "uncounted": dict(self.uncounted)}


def cost(arch: Arch, in_channels: int = 3, num_classes: int = 1000) -> Cost:
    """The cost of a network at its resolution; raise `ArchError` when its layers do not fit."""
    shape, total = stem_cost(arch.stem, Shape(in_channels, arch.resolution, arch.resolution))
    for stage in arch.stages:
        shape, its_cost = stage_cost(stage, shape)
        total += its_cost
    return total + head_cost(arch.head, shape, num_classes)[1]


# Searches meet the same stages on the same shapes again and again, so each is read once.


@lru_cache(maxsize=4_096)
def stem_cost(stem: Stem, shape: Shape) -> tuple[Shape, Cost]:
    """Output shape and cost of a stem that reads an image of `shape`."""
    return layer_cost(stem.layer(shape.channels), shape)


@lru_cache(maxsize=262_144)
def stage_cost(stage: Stage, shape: Shape) -> tuple[Shape, Cost]:
    """Output shape and cost of all blocks of a stage."""
    shape, total = block_cost(stage.block, stage.width, stage.stride, shape)
    for _ in range(stage.depth - 1):
        shape, its_cost = block_cost(stage.block, stage.width, 1, shape)
        total += its_cost
    return shape, total


@lru_cache(maxsize=262_144)
def block_cost(block: Block, width: int, stride: int, shape: Shape) -> tuple[Shape, Cost]:
    """Output shape and cost of one block."""
    return layer_cost(block_layer(block, shape.channels, width, stride), shape)


@lru_cache(maxsize=16_384)
def head_cost(head: Head, shape: Shape, num_classes: int) -> tuple[Shape, Cost]:
    """Output shape and cost of a head."""
    return layer_cost(head.layer(shape.channels, num_classes), shape)


def ledger(arch: Arch, in_channels: int = 3, num_classes: int = 1000) -> tuple[Row, ...]:
    """One `Row` for the stem, for each block and for the head; their costs sum to `cost(arch)`."""
    return tuple(
        Row(name, text, shape, output, its_cost, tuple(sorted(uncounted(layer, shape).items())))
        for name, text, layer, shape, output, its_cost in _walked(arch, in_channels, num_classes)
    )


def walk(arch: Arch, in_channels: int, num_classes: int) -> list[tuple[str, str, Layer, Shape]]:
    """(name, text, layer, input shape) of the stem, each block and the head, in order."""
    return [step[:4] for step in _walked(arch, in_channels, num_classes)]


def _walked(arch: Arch, in_channels: int, num_classes: int) -> list[tuple[str, str, Layer, Shape, Shape, Cost]]:
    """As `walk`, with output shape and cost."""
    shape = Shape(in_channels, arch.resolution, arch.resolution)
    steps: list[tuple[str, str, Layer, Shape, Shape, Cost]] = []

    def step(name: str, text: str, layer: Layer) -> None:
        nonlocal shape
        try:
            output, its_cost = layer_cost(layer, shape)
        except ArchError as error:
            raise ArchError(f"{name} ({text}): {error}") from None
        steps.append((name, text, layer, shape, output, its_cost))
        shape = output

    step("stem", str(arch.stem), arch.stem.layer(in_channels))
    for i, stage in enumerate(arch.stages, 1):
        for j, layer in enumerate(stage.layers(shape.channels)):
            step(f"stage{i}.{j}", str(stage.block), layer)
    step("head", str(arch.head), arch.head.layer(shape.channels, num_classes))
    return steps


def layer_cost(layer: Layer, shape: Shape) -> tuple[Shape, Cost]:
    """Output shape and cost of one layer, combinators included."""
    return _counted(_read(layer, shape))


def _counted(read: _Reading) -> tuple[Shape, Cost]:
    return read.out, Cost(read.flops, read.macs, read.params, read.activations, read.peak)


class _Reading(NamedTuple):
    """What one pass over a layer learns; `peak_kept` is the peak when its input is read again afterwards."""

    out: Shape
    flops: int
    macs: int
    params: int
    activations: int
    peak: int
    peak_kept: int


def _read(layer: Layer, shape: Shape) -> _Reading:
    if isinstance(layer, Combinator):
        return _read_chain(layer, shape) if isinstance(layer, Chain) else _read_branches(layer, shape)
    output = layer.out(shape)
    before, after = shape.elements, output.elements
    # elementwise layers work in place; an identity, a flattening and a shuffle of one group are the input itself
    moved = isinstance(layer, Shuffle) and layer.groups > 1
    in_place = isinstance(layer, (Pointwise, Flatten)) and not moved
    alone = before if in_place else before + after
    beside = before if isinstance(layer, (Identity, Flatten)) else before + after
    if isinstance(layer, Conv):
        weights = layer.channels * (shape.channels // layer.groups) * layer.kernel**2
        macs = weights * output.height * output.width
        return _Reading(output, macs, macs, weights + layer.channels * layer.bias, after, alone, beside)
    if isinstance(layer, Linear):
        weights = shape.channels * layer.features
        return _Reading(output, weights, weights, weights + layer.features * layer.bias, after, alone, beside)
    flops, params = 0, 0
    if isinstance(layer, BatchNorm):
        flops, params = 2 * before, 2 * shape.channels
    elif isinstance(layer, AdaptivePool) and not layer.maximum:
        flops = before
    return _Reading(output, flops, 0, params, 0, alone, beside)


def _read_chain(layer: Chain, shape: Shape, known: list[_Reading] | None = None) -> _Reading:
    """`known`: what was read after each of the first layers; those that follow are added to it."""
    begin = known[-1] if known else _Reading(shape, 0, 0, 0, 0, shape.elements, shape.elements)
    reached, flops, macs, params, activations, peak, peak_kept = begin
    for i, part in enumerate(layer.layers[len(known or ()) :], len(known or ())):
        read = _read(part, reached)
        reached = read.out
        flops, macs, params = flops + read.flops, macs + read.macs, params + read.params
        activations += read.activations
        peak = max(peak, read.peak)
        peak_kept = max(peak_kept, read.peak_kept if i == 0 else shape.elements + read.peak)
        if known is not None:
            known.append(_Reading(reached, flops, macs, params, activations, peak, peak_kept))
    return _Reading(reached, flops, macs, params, activations, peak, peak_kept)


class ChainReader:
    """Reads chains that begin alike, as deeper and deeper dense blocks do: each goes on from what it shares."""

    def __init__(self) -> None:
        self._known: dict[Shape, tuple[tuple[Layer, ...], list[_Reading]]] = {}

    def read(self, layer: Layer, shape: Shape) -> tuple[Shape, Cost]:
        """As `layer_cost`."""
        return _counted(self._chain(layer, shape) if isinstance(layer, Chain) else _read(layer, shape))

    def _chain(self, chain: Chain, shape: Shape) -> _Reading:
        before, readings = self._known.get(shape, ((), []))
        shared = 0
        for old, new in zip(before, chain.layers, strict=False):
            if old is not new and old != new:
                break
            shared += 1
        known = readings[:shared]
        read = _read_chain(chain, shape, known)
        if len(known) >= len(readings):  # the deepest one so far helps most
            self._known[shape] = chain.layers, known
        return read


def _read_branches(layer: Combinator, shape: Shape) -> _Reading:
    reads = [_read(part, shape) for part in layer.layers]
    output = layer.join(shape, [read.out for read in reads])
    return _Reading(
        output,
        flops=sum(read.flops for read in reads),
        macs=sum(read.macs for read in reads),
        params=sum(read.params for read in reads),
        activations=sum(read.activations for read in reads),
        peak=_branches_peak(layer, shape, reads, output, kept=False),
        peak_kept=_branches_peak(layer, shape, reads, output, kept=True),
    )


def _branches_peak(layer: Combinator, shape: Shape, reads: list[_Reading], output: Shape, kept: bool) -> int:
    """Branches run in order; each output waits for the join, an identity's waits in the input itself."""
    aliased = any(isinstance(branch, Identity) for branch in layer.layers)
    most, waiting, last = shape.elements, 0, len(reads) - 1
    for i, (branch, read) in enumerate(zip(layer.layers, reads, strict=True)):
        if isinstance(branch, Identity):
            continue
        most = max(most, waiting + (read.peak_kept if kept or aliased or i < last else read.peak))
        waiting += read.out.elements
        if isinstance(layer, Add):
            most, waiting = max(most, waiting), output.elements  # summed in place into the first
    held = shape.elements if kept or aliased else 0
    in_place = isinstance(layer, Add) or (isinstance(layer, Multiply) and not (kept and aliased))
    return max(most, held + waiting + (0 if in_place else output.elements))


# ------------------------------------------------------------------------- what flops leave out


def uncounted(layer: Layer, shape: Shape) -> dict[str, int]:
    """Output elements of each operation that `flops` does not count, by its name."""
    found: dict[str, int] = {}
    reached = shape
    for name, elements in _uncounted_here(layer, shape):
        found[name] = found.get(name, 0) + elements
    if isinstance(layer, Combinator):
        for part in layer.layers:
            for name, elements in uncounted(part, reached).items():
                found[name] = found.get(name, 0) + elements
            reached = part.out(reached) if isinstance(layer, Chain) else shape
    return found


def _uncounted_here(layer: Layer, shape: Shape) -> list[tuple[str, int]]:
    elements = layer.out(shape).elements
    if isinstance(layer, Act):
        return [(layer.kind, elements)]
    if isinstance(layer, (Add, Multiply)):
        name = "add" if isinstance(layer, Add) else "multiply"
        return [(name, elements * (len(layer.layers) - 1))]
    if isinstance(layer, (MaxPool, AvgPool)):
        return [("max_pool" if isinstance(layer, MaxPool) else "avg_pool", elements)]
    if isinstance(layer, AdaptivePool) and layer.maximum:
        return [("adaptive_max_pool", elements)]
    if isinstance(layer, Conv) and layer.bias:
        return [("conv_bias", elements)]
    return []
