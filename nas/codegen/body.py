"""A network read as expressions, and what other numbers of classes and input channels change in it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from nas.build import ACTIVATIONS
from nas.codegen.expressions import Defaults, Expression, Symbol, calls, expression, known_defaults
from nas.codegen.features import Step, steps
from nas.codegen.functions import Function, factored
from nas.packaging.package import state_sizes
from search_spaces.arch import Arch
from search_spaces.errors import ArchError
from search_spaces.layers import Chain, Layer, Shape


@dataclass(frozen=True)
class Body:
    """A network as expressions: stem, blocks of each stage, head, and the functions that the blocks call."""

    stem: Expression
    stages: tuple[tuple[Expression, ...], ...]
    head: Expression
    functions: tuple[Function, ...]
    steps: tuple[Step, ...]
    shapes: tuple[Shape, ...]
    """Behind the stem and each stage."""

    @property
    def trees(self) -> tuple[Expression, ...]:
        """Every expression of the file."""
        blocks = (block for stage in self.stages for block in stage)
        return (self.stem, *blocks, self.head, *(function.body for function in self.functions))

    @property
    def act(self) -> str:
        """The activation of most phrases: their default in this file."""
        used = Counter(part for tree in self.trees for call in calls(tree) for name, part in call.args if name == "act")
        kinds = [(count, str(kind)) for kind, count in used.items() if kind in ACTIVATIONS]
        return max(kinds)[1] if kinds else "relu"

    @property
    def defaults(self) -> Defaults:
        """Defaults of every function of the file."""
        return known_defaults(self.act) | {function.name: function.defaults for function in self.functions}


def read(arch: Arch, in_channels: int, num_classes: int, taken: frozenset[str] = frozenset()) -> Body:
    """The network as expressions; numbers may be `Symbol`s, which reach stem and head.

    `taken`: names that no function may have.
    """
    stem, shape = arch.stem.layer(in_channels), Shape(in_channels, arch.resolution, arch.resolution)
    named: list[tuple[str, Layer]] = [("stem", stem)]
    reached = [_plain(stem.out(shape))]
    blocks: list[tuple[str, Expression]] = []
    for i, stage in enumerate(arch.stages, 1):
        layers, at = stage.layers(reached[-1].channels), reached[-1]
        for layer in layers:
            blocks.append((stage.block.label, expression(layer, at)))
            at = layer.out(at)
        named.append((f"stage{i}", Chain(layers, tuple(map(str, range(len(layers)))))))
        reached.append(at)
    head = arch.head.layer(reached[-1].channels, num_classes)
    functions, rewritten = factored(blocks, set(taken))
    remaining = iter(rewritten)
    return Body(
        stem=expression(stem, shape),
        stages=tuple(tuple(next(remaining) for _ in range(stage.depth)) for stage in arch.stages),
        head=expression(head, reached[-1]),
        functions=tuple(functions),
        steps=tuple(steps(named, shape)),
        shapes=tuple(reached),
    )


def _plain(shape: Shape) -> Shape:
    """The shape without symbols: stages are read once for many networks, and must not remember names."""
    return Shape(*(int(size) for size in shape))


# ----------------------------------------------------------------- what the constructor may change


@dataclass(frozen=True)
class Freedom:
    """What other numbers of classes and input channels change: names of the state dict, None where they may not."""

    num_classes: tuple[str, ...] | None
    in_channels: tuple[str, ...] | None


def freedom(arch: Arch, in_channels: int, num_classes: int) -> Freedom:
    """Try twice as many of each: the text must stay the same, and shapes of weights tell what starts anew."""
    text = _symbolic(arch, in_channels, num_classes)
    before = state_sizes(arch, in_channels, num_classes)

    def changed(channels: int, classes: int) -> tuple[str, ...] | None:
        try:
            if _symbolic(arch, channels, classes) != text:
                return None
            after = state_sizes(arch, channels, classes)
        except ArchError:
            return None
        return tuple(name for name, size in before.items() if after.get(name) != size)

    return Freedom(changed(in_channels, 2 * num_classes), changed(2 * in_channels, num_classes))


def _symbolic(arch: Arch, in_channels: int, num_classes: int) -> list[Expression]:
    body = read(arch, Symbol("in_channels", in_channels), Symbol("num_classes", num_classes))
    return [*body.trees]
