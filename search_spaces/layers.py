"""The layers of which every block is an expression: leaves, and four combinators.

A layer says what shape it makes of a shape; it knows nothing of torch. Output channels are
given, input channels are inferred, so that one expression can be counted (`cost`), built as a
module (`nas.build`) and printed as source (`nas.codegen`).

Shapes leave out the batch: `(channels, height, width)`. A flattened vector has height and width 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeVar

from search_spaces.errors import ArchError

ACTIVATIONS = ("relu", "relu6", "silu", "hardswish", "gelu", "sigmoid", "hardsigmoid")
EPS = 1e-5  # of batch norm, as in torch


class Shape(NamedTuple):
    """(channels, height, width) of a feature map, without the batch."""

    channels: int
    height: int
    width: int

    @property
    def elements(self) -> int:
        return self.channels * self.height * self.width

    def __str__(self) -> str:
        return f"{self.channels}×{self.height}×{self.width}"


class Layer:
    """A leaf or a combinator. Frozen, hashable, comparable."""

    def out(self, shape: Shape) -> Shape:
        """Return the output shape for an input `shape`; raise `ArchError` when they do not fit."""
        raise TypeError(f"{type(self).__name__} is abstract: it has no output shape")

    # Here once, because generating these for each class is a good part of the import time.

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self).__name__, *vars(self).values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"


def window(size: int, kernel: int, stride: int, padding: int, dilation: int = 1, ceil: bool = False) -> int:
    """Pixels left after sliding a window over `size` pixels, by torch's rule."""
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    if not ceil:
        return room // stride + 1
    count = -(-room // stride) + 1
    # torch drops a last window that would start in the right-hand padding
    return count - 1 if (count - 1) * stride >= size + padding else count


def _slide(
    layer: Layer,
    shape: Shape,
    channels: int,
    kernel: int,
    stride: int,
    padding: int,
    dilation: int = 1,
    ceil: bool = False,
) -> Shape:
    height = window(shape.height, kernel, stride, padding, dilation, ceil)
    width = window(shape.width, kernel, stride, padding, dilation, ceil)
    if height < 1 or width < 1:
        raise ArchError(f"a feature map must stay at least 1×1, but {layer} leaves {height}×{width} of {shape}")
    return Shape(channels, height, width)


# ---------------------------------------------------------------------------------------- leaves


@dataclass(frozen=True, repr=False, eq=False)
class Conv(Layer):
    """2-d convolution to `channels` channels; `padding` None keeps the size at stride 1 (odd kernels)."""

    channels: int
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    padding: int | None = None
    dilation: int = 1
    bias: bool = False

    @property
    def pad(self) -> int:
        return self.dilation * (self.kernel - 1) // 2 if self.padding is None else self.padding

    def out(self, shape: Shape) -> Shape:
        if shape.channels % self.groups or self.channels % self.groups:
            raise ArchError(
                f"groups must divide the channels on both sides, but got {self.groups} groups "
                f"for {shape.channels} → {self.channels} channels"
            )
        return _slide(self, shape, self.channels, self.kernel, self.stride, self.pad, self.dilation)


class Pointwise(Layer):
    """Base of the leaves that work element by element and keep the shape."""

    def out(self, shape: Shape) -> Shape:
        return shape


@dataclass(frozen=True, repr=False, eq=False)
class BatchNorm(Pointwise):
    """Batch normalisation with learned scale and shift (Ioffe & Szegedy 2015)."""

    eps: float = EPS
    momentum: float = 0.1


@dataclass(frozen=True, repr=False, eq=False)
class Act(Pointwise):
    """An activation function, by name: one of `ACTIVATIONS`."""

    kind: str = "relu"

    def __post_init__(self) -> None:
        if self.kind not in ACTIVATIONS:
            raise ArchError(f"an activation is one of {', '.join(ACTIVATIONS)}, but got {self.kind}")


@dataclass(frozen=True, repr=False, eq=False)
class Dropout(Pointwise):
    """Dropout of single elements with probability `p`, in training only."""

    p: float = 0.5


@dataclass(frozen=True, repr=False, eq=False)
class Identity(Pointwise):
    """The input itself: a shortcut of `Add`, or the kept half of a dense connection."""


@dataclass(frozen=True, repr=False, eq=False)
class Shuffle(Pointwise):
    """Channel shuffle (ShuffleNet): reshape (groups, channels / groups), transpose, flatten."""

    groups: int

    def out(self, shape: Shape) -> Shape:
        if shape.channels % self.groups:
            raise ArchError(
                f"groups must divide the channels, but got {self.groups} groups of {shape.channels} channels"
            )
        return shape


@dataclass(frozen=True, repr=False, eq=False)
class MaxPool(Layer):
    """Max pooling; `ceil` rounds the size up, as SqueezeNet and GoogLeNet do."""

    kernel: int = 3
    stride: int = 2
    padding: int = 1
    ceil: bool = False

    def out(self, shape: Shape) -> Shape:
        return _slide(self, shape, shape.channels, self.kernel, self.stride, self.padding, ceil=self.ceil)


@dataclass(frozen=True, repr=False, eq=False)
class AvgPool(Layer):
    """Average pooling; padding counts as zeros."""

    kernel: int = 2
    stride: int = 2
    padding: int = 0
    ceil: bool = False

    def out(self, shape: Shape) -> Shape:
        return _slide(self, shape, shape.channels, self.kernel, self.stride, self.padding, ceil=self.ceil)


@dataclass(frozen=True, repr=False, eq=False)
class AdaptivePool(Layer):
    """Average (or, with `maximum`, max) pooling to `size` × `size`, whatever comes in."""

    size: int = 1
    maximum: bool = False

    def out(self, shape: Shape) -> Shape:
        return Shape(shape.channels, self.size, self.size)


@dataclass(frozen=True, repr=False, eq=False)
class Flatten(Layer):
    """(C, H, W) to a vector of C·H·W."""

    def out(self, shape: Shape) -> Shape:
        return Shape(shape.elements, 1, 1)


@dataclass(frozen=True, repr=False, eq=False)
class Linear(Layer):
    """A fully connected layer on a flattened vector."""

    features: int
    bias: bool = True

    def out(self, shape: Shape) -> Shape:
        if (shape.height, shape.width) != (1, 1):
            raise ArchError(f"a linear layer reads a flattened vector, but got {shape}")
        return Shape(self.features, 1, 1)


# ----------------------------------------------------------------------------------- combinators


@dataclass(frozen=True, repr=False, eq=False)
class Combinator(Layer):
    """Layers put together; `names` (one each) become the names of the torch submodules."""

    layers: tuple[Layer, ...]
    names: tuple[str, ...]

    def out(self, shape: Shape) -> Shape:
        return self.join(shape, [layer.out(shape) for layer in self.layers])

    def join(self, shape: Shape, outs: list[Shape]) -> Shape:
        """The output shape, given each branch's; raise `ArchError` when they do not fit."""
        raise TypeError(f"{type(self).__name__} has no branches to join")


@dataclass(frozen=True, repr=False, eq=False)
class Chain(Combinator):
    """One after another."""

    def out(self, shape: Shape) -> Shape:
        for layer in self.layers:
            shape = layer.out(shape)
        return shape


@dataclass(frozen=True, repr=False, eq=False)
class Concat(Combinator):
    """The same input through each branch, channels joined."""

    def join(self, shape: Shape, outs: list[Shape]) -> Shape:
        if len({(o.height, o.width) for o in outs}) != 1:
            raise ArchError(f"branches to concatenate need one height and width, but got {', '.join(map(str, outs))}")
        return Shape(sum(o.channels for o in outs), outs[0].height, outs[0].width)


@dataclass(frozen=True, repr=False, eq=False)
class Add(Combinator):
    """The same input through each branch, outputs summed: a residual connection."""

    def join(self, shape: Shape, outs: list[Shape]) -> Shape:
        if len(set(outs)) != 1:
            raise ArchError(f"branches to add need one shape, but got {', '.join(map(str, outs))}")
        return outs[0]


@dataclass(frozen=True, repr=False, eq=False)
class Multiply(Combinator):
    """The same input through each branch, outputs multiplied; 1×1 maps gate whole channels."""

    def join(self, shape: Shape, outs: list[Shape]) -> Shape:
        largest = max(outs, key=lambda o: o.elements)
        for o in outs:
            if o != largest and o != Shape(largest.channels, 1, 1):
                raise ArchError(f"a gate needs the shape it gates or 1×1 maps, but got {o} for {largest}")
        return largest


def _named(layers: tuple[Layer, ...], named: dict[str, Layer]) -> tuple[tuple[Layer, ...], tuple[str, ...]]:
    return layers + tuple(named.values()), tuple(str(i) for i in range(len(layers))) + tuple(named)


def chain(*layers: Layer, **named: Layer) -> Chain:
    """`Chain` of positional layers (named 0, 1, …), then of named ones."""
    return Chain(*_named(layers, named))


def concat(*layers: Layer, **named: Layer) -> Concat:
    """`Concat` of positional, then of named branches."""
    return Concat(*_named(layers, named))


def add(*layers: Layer, **named: Layer) -> Add:
    """`Add` of positional, then of named branches."""
    return Add(*_named(layers, named))


def multiply(*layers: Layer, **named: Layer) -> Multiply:
    """`Multiply` of positional, then of named branches."""
    return Multiply(*_named(layers, named))


LayerT = TypeVar("LayerT", bound=Layer)


@lru_cache(maxsize=65_536)
def with_eps(layer: LayerT, eps: float) -> LayerT:
    """The same layer with another eps in each of its batch norms."""
    if isinstance(layer, Combinator):
        return type(layer)(tuple(with_eps(part, eps) for part in layer.layers), layer.names)
    return BatchNorm(eps, layer.momentum) if isinstance(layer, BatchNorm) else layer  # type: ignore[return-value]


# --------------------------------------------------------------------- phrases that many blocks use


def conv_norm(channels: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> Chain:
    """Convolution and batch norm: a linear layer in the sense of MobileNetV2."""
    return chain(conv=Conv(channels, kernel, stride, groups), norm=BatchNorm())


def conv_norm_act(channels: int, kernel: int = 1, stride: int = 1, groups: int = 1, act: str = "relu") -> Chain:
    """Convolution, batch norm, activation."""
    return chain(conv=Conv(channels, kernel, stride, groups), norm=BatchNorm(), act=Act(act))


def conv_act(channels: int, kernel: int = 1, stride: int = 1, act: str = "relu", padding: int | None = None) -> Chain:
    """Convolution with bias and activation, as before batch norm."""
    return chain(conv=Conv(channels, kernel, stride, padding=padding, bias=True), act=Act(act))


def conv_then(norm: bool, channels: int, kernel: int = 1, stride: int = 1, act: str = "relu") -> Chain:
    """`conv_norm_act`, or `conv_act` for blocks that can be had as before batch norm."""
    return (conv_norm_act if norm else conv_act)(channels, kernel, stride, act=act)


def valid(chain_: Chain) -> Chain:
    """The same chain without padding in its first convolution, as networks before 2015 often begin."""
    first, *rest = chain_.layers
    assert isinstance(first, Conv)
    return Chain((Conv(**vars(first) | {"padding": 0}), *rest), chain_.names)


def fully_connected(features: int, depth: int, dropout: float, act: str = "relu") -> dict[str, Layer]:
    """`depth` hidden layers `hidden1`, … for a vector: linear to `features`, activation, dropout."""
    parts: dict[str, Layer] = {"linear": Linear(features), "act": Act(act)}
    if dropout:
        parts["dropout"] = Dropout(dropout)
    return {f"hidden{i}": chain(**parts) for i in range(1, depth + 1)}


def squeeze_excite(channels: int, squeezed: int, act: str = "relu", gate: str = "sigmoid") -> Multiply:
    """Squeeze-and-excitation (Hu 2018): global pool, 1×1 to `squeezed`, 1×1 back, gate each channel."""
    return multiply(
        identity=Identity(),
        gate=chain(
            pool=AdaptivePool(1),
            reduce=Conv(squeezed, bias=True),
            act=Act(act),
            expand=Conv(channels, bias=True),
            gate=Act(gate),
        ),
    )


def shortcut(in_channels: int, out_channels: int, stride: int) -> Layer:
    """ResNet's shortcut: the identity where shapes allow, else a strided 1×1 projection."""
    if stride == 1 and in_channels == out_channels:
        return Identity()
    return conv_norm(out_channels, stride=stride)


def divisible(value: float, by: int = 8) -> int:
    """Round channels to a multiple of `by`, never below it nor more than 10 % down (MobileNetV2's rule)."""
    rounded = max(by, int(value + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * value else rounded


def scaled_width(channels: int, factor: float, by: int = 8) -> int:
    """Channels times `factor`, rounded by `divisible`; at factor 1 they stay, whatever they are."""
    return channels if factor == 1 else divisible(channels * factor, by)
