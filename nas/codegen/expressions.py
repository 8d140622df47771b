"""Layer → expression: the calls that make a layer in PyTorch, as data, and their text.

An expression is a `Call` or an atom of source (`"96"`, `"relu6"`). Calls hold every argument by name;
what equals a default is left out only when the text is written, so that equal shapes stay comparable.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from keyword import iskeyword
from typing import Any

from torch import nn

from nas.build import ACTIVATIONS
from nas.codegen import phrases
from nas.in_place import shared_inputs
from nas.packaging.package import ExportError
from search_spaces import layers as L
from search_spaces.layers import Layer, Shape

WIDTH = 119
REQUIRED = None
Defaults = dict[str, dict[str, str | None]]
"""For each function its parameters in order, with the source of the default or `REQUIRED`."""


@dataclass(frozen=True)
class Call:
    """A function applied to named arguments; `reads` and `makes` are the channels that go in and come out."""

    function: str
    args: tuple[tuple[str, Expression], ...]
    reads: str = field(default="", compare=False)
    makes: str = field(default="", compare=False)


Expression = Call | str
COMBINATORS: dict[type[Layer], str] = {L.Chain: "chain", L.Add: "add", L.Concat: "concat", L.Multiply: "multiply"}
PHRASES = ("conv", "conv_norm", "conv_norm_act", "conv_act", "squeeze_excite")
_TORCH = (
    *("Conv2d", "BatchNorm2d", "Linear", "Dropout", "Identity", "Flatten"),
    *("MaxPool2d", "AvgPool2d", "AdaptiveAvgPool2d", "AdaptiveMaxPool2d"),
)


class Symbol(int):
    """A number that is written by its name: what a constructor's argument becomes in the text."""

    name: str

    def __new__(cls, name: str, value: int) -> Symbol:
        made = super().__new__(cls, value)
        made.name = name
        return made

    def __repr__(self) -> str:
        return self.name


def _defaults(function: Callable[..., Any]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is not parameter.VAR_KEYWORD:
            no_default = parameter.default is parameter.empty
            found[name] = REQUIRED if no_default else repr(parameter.default)
    return found


def known_defaults(act: str) -> Defaults:
    """Parameters of every function that an expression may call, when `act` is the default activation."""
    found = {name: _defaults(getattr(phrases, name)) for name in PHRASES}
    for parameters in found.values():
        parameters.update({name: act for name in ("act",) if name in parameters})
    found["squeeze_excite"]["gate"] = "sigmoid"
    found |= {f"nn.{name}": _defaults(getattr(nn, name)) for name in _TORCH}
    found["nn.Dropout"]["p"] = REQUIRED  # a probability is worth saying even where it is torch's
    found |= {_class(make()): {} for make in ACTIVATIONS.values()}
    return found | {"Shuffle": {"groups": REQUIRED}}


def activation_source(kind: str) -> str:
    """Source of a function that makes the activation: `partial(nn.ReLU6, inplace=True)`."""
    made = ACTIVATIONS[kind]()
    return f"partial({_class(made)}, inplace=True)" if getattr(made, "inplace", False) else _class(made)


def _class(made: nn.Module) -> str:
    return f"nn.{type(made).__name__}"


# ------------------------------------------------------------------------------ layer → expression


def expression(layer: Layer, shape: Shape, shared: bool = True) -> Expression:
    """The calls that make `layer`, which reads `shape`; `shared`: that map must stay as it is."""
    if (phrase := _conv_phrase(layer, shape) or _squeeze_excite(layer, shape)) is not None:
        return phrase
    if isinstance(layer, L.Combinator):
        return _combinator(layer, shape, shared)
    if shared and isinstance(layer, L.Act):
        return Call(_class(ACTIVATIONS[layer.kind]()), ())  # not in place, as the file's own `relu` works
    if type(layer) not in _LEAVES:
        raise ExportError(f"a layer must be one that can be printed, but got {layer}: see nas.codegen.expressions")
    return _LEAVES[type(layer)](layer, shape)


def _combinator(layer: L.Combinator, shape: Shape, shared: bool) -> Call:
    args, reached = [], shape
    for name, part, others in zip(layer.names, layer.layers, shared_inputs(layer, shared), strict=True):
        args.append((name, expression(part, reached, others)))
        reached = part.out(reached) if isinstance(layer, L.Chain) else shape
    return Call(COMBINATORS[type(layer)], tuple(args), str(shape.channels), str(layer.out(shape).channels))


def _call(function: str, **args: object) -> Call:
    return Call(function, tuple((name, str(value)) for name, value in args.items()))


def _conv2d(conv: L.Conv, shape: Shape) -> Call:
    if (conv.pad, conv.dilation) == ((conv.kernel - 1) // 2, 1):
        widths = {"in_channels": shape.channels, "out_channels": conv.channels}
        return _call("conv", **widths, kernel=conv.kernel, stride=conv.stride, groups=conv.groups, bias=conv.bias)
    return _call(
        "nn.Conv2d",
        in_channels=shape.channels,
        out_channels=conv.channels,
        kernel_size=conv.kernel,
        stride=conv.stride,
        padding=conv.pad,
        dilation=conv.dilation,
        groups=conv.groups,
        bias=conv.bias,
    )


def _pool(function: str) -> Callable[[Any, Shape], Call]:
    return lambda p, s: _call(function, kernel_size=p.kernel, stride=p.stride, padding=p.padding, ceil_mode=p.ceil)


def _adaptive(pool: L.AdaptivePool, shape: Shape) -> Call:
    return _call(f"nn.Adaptive{'Max' if pool.maximum else 'Avg'}Pool2d", output_size=pool.size)


_LEAVES: dict[type[Layer], Callable[[Any, Shape], Expression]] = {
    L.Conv: _conv2d,
    L.BatchNorm: lambda n, s: _call("nn.BatchNorm2d", num_features=s.channels, eps=n.eps, momentum=n.momentum),
    L.Act: lambda a, s: Call("act", (("act", a.kind),)),
    L.Dropout: lambda d, s: _call("nn.Dropout", p=d.p),
    L.Identity: lambda i, s: _call("nn.Identity"),
    L.Shuffle: lambda h, s: _call("Shuffle", groups=h.groups),
    L.MaxPool: _pool("nn.MaxPool2d"),
    L.AvgPool: _pool("nn.AvgPool2d"),
    L.AdaptivePool: _adaptive,
    L.Flatten: lambda f, s: _call("nn.Flatten"),
    L.Linear: lambda f, s: _call("nn.Linear", in_features=s.channels, out_features=f.features, bias=f.bias),
}


def _conv_phrase(layer: Layer, shape: Shape) -> Call | None:
    """`conv_norm`, `conv_norm_act` or `conv_act`, when that is what the chain is."""
    if not isinstance(layer, L.Chain) or not layer.layers or not isinstance(conv := layer.layers[0], L.Conv):
        return None
    phrase = "_".join(layer.names)
    rest = {"conv_norm": (L.BatchNorm,), "conv_norm_act": (L.BatchNorm, L.Act), "conv_act": (L.Act,)}.get(phrase)
    if rest is None or tuple(map(type, layer.layers[1:])) != rest:
        return None
    acts = {"act": layer.layers[-1].kind} if isinstance(layer.layers[-1], L.Act) else {}
    groups = {} if phrase == "conv_act" else {"groups": conv.groups}
    said = L.Conv(conv.channels, conv.kernel, conv.stride, conv.groups if groups else 1, bias=phrase == "conv_act")
    plain = all(part == L.BatchNorm() for part in layer.layers if isinstance(part, L.BatchNorm))
    if not plain or (said, said.pad) != (L.Conv(**vars(conv) | {"padding": None}), conv.pad):
        return None
    widths = {"in_channels": shape.channels, "out_channels": conv.channels}
    return _call(phrase, **widths, kernel=conv.kernel, stride=conv.stride, **groups, **acts)


def _squeeze_excite(layer: Layer, shape: Shape) -> Call | None:
    if not isinstance(layer, L.Multiply) or not isinstance(gate := layer.layers[-1], L.Chain) or len(gate.layers) != 5:
        return None
    squeeze, act, _, last = gate.layers[1:]
    if not (isinstance(squeeze, L.Conv) and isinstance(act, L.Act) and isinstance(last, L.Act)):
        return None
    if layer != L.squeeze_excite(shape.channels, squeeze.channels, act.kind, last.kind):
        return None
    return _call("squeeze_excite", channels=shape.channels, squeezed=squeeze.channels, act=act.kind, gate=last.kind)


# ------------------------------------------------------------------------------- reading expressions


def calls(tree: Expression) -> Iterator[Call]:
    """Every call of an expression, outermost first."""
    if isinstance(tree, Call):
        yield tree
        for _, part in tree.args:
            yield from calls(part)


def atoms(tree: Expression, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every atom with the names of the arguments that lead to it."""
    if isinstance(tree, Call):
        for name, part in tree.args:
            yield from atoms(part, (*path, name))
    else:
        yield path, tree


def mapped(tree: Expression, change: Callable[[tuple[str, ...], Expression], Expression | None]) -> Expression:
    """The expression with every part replaced for which `change(path, part)` is not None."""

    def walk(part: Expression, path: tuple[str, ...]) -> Expression:
        changed = change(path, part)
        if changed is not None or not isinstance(part, Call):
            return part if changed is None else changed
        args = tuple((name, walk(child, (*path, name))) for name, child in part.args)
        return Call(part.function, args, part.reads, part.makes)

    return walk(tree, ())


# ------------------------------------------------------------------------------- expression → text


def flat(tree: Expression, defaults: Defaults) -> str:
    """The expression on one line."""
    if isinstance(tree, str):
        return tree
    if tree.function == "act":
        return f"{flat(tree.args[0][1], defaults)}()"
    head, args = _arguments(tree, defaults)
    closing = "})" if head.endswith("{") else ")"
    return f"{head}{', '.join(f'{before}{flat(part, defaults)}' for before, part in args)}{closing}"


def lines(tree: Expression, defaults: Defaults, indent: int, before: str = "", after: str = "") -> list[str]:
    """The expression on as few lines as `WIDTH` allows, the outermost call broken first."""
    margin = " " * indent
    whole = f"{margin}{before}{flat(tree, defaults)}{after}"
    if len(whole) <= WIDTH or isinstance(tree, str) or not tree.args:
        return [whole]
    head, args = _arguments(tree, defaults)
    closing = "})" if head.endswith("{") else ")"
    broken = [f"{margin}{before}{head}"]
    for name, part in args:
        broken += lines(part, defaults, indent + 4, name, ",")
    return [*broken, f"{margin}{closing}{after}"]


def _arguments(call: Call, defaults: Defaults) -> tuple[str, list[tuple[str, Expression]]]:
    """`chain(` and the arguments to write, each with `name=` or nothing before it."""
    if call.function not in defaults:
        return _branches(call)
    written: list[tuple[str, Expression]] = []
    positional = True
    for name, part in call.args:
        default = defaults[call.function].get(name, REQUIRED)
        if part == default:
            positional = False
            continue
        usual = call.function in PHRASES and (name == "kernel" or part == name)
        positional = positional and (default is REQUIRED or usual)
        written.append(("" if positional else f"{name}=", part))
    return f"{call.function}(", written


def _branches(call: Call) -> tuple[str, list[tuple[str, Expression]]]:
    """Arguments of a combinator: by name, by number where names are numbers, in a dict where they are neither."""
    names = [name for name, _ in call.args]
    if names and names == [str(i) for i in range(len(names))]:
        function = {"chain": "nn.Sequential"}.get(call.function, call.function.capitalize())
        return f"{function}(", [("", part) for _, part in call.args]
    if all(name.isidentifier() and not iskeyword(name) for name in names):
        return f"{call.function}(", [(f"{name}=", part) for name, part in call.args]
    return f"{call.function}(**{{", [(f"{json.dumps(name, ensure_ascii=False)}: ", part) for name, part in call.args]
