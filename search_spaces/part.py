"""What blocks, stems and heads have in common: declared fields, checked values, a text form.

A part is a frozen dataclass. Its name in texts is its class name in snake case; its fields may be
`int`, `float`, `bool`, `str` or `tuple[int, ...]`, each with a default or required. Defining the
class registers it: nothing else has to be edited.
"""

from __future__ import annotations

import re
from dataclasses import MISSING, dataclass, fields
from functools import lru_cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, ClassVar, Self

from search_spaces.errors import ArchError, SpaceError
from search_spaces.holes import is_open
from search_spaces.layers import ACTIVATIONS, Layer, scaled_width

REGISTRY: dict[str, type[Part]] = {}
MAX_CHANNELS = 65_536
MAX_KERNEL = 63


def snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


@lru_cache(maxsize=1)
def _discover() -> None:
    """Import every module of `search_spaces.blocks`, which registers what it defines."""
    from search_spaces import blocks

    for module in iter_modules(blocks.__path__):
        import_module(f"{blocks.__name__}.{module.name}")


def known(kind: type[Part]) -> dict[str, type[Part]]:
    """Every registered part of a kind (`Block`, `Stem`, `Head` or `Auxiliary`), by name."""
    _discover()
    return {name: cls for name, cls in sorted(REGISTRY.items()) if issubclass(cls, kind)}


def one_of(name: str, names: list[str]) -> str:
    """'one of …' for messages, with a guess when `name` is close to a known one."""
    from difflib import get_close_matches  # only when something is wrong

    close = get_close_matches(name, names, n=1)
    return f"one of {', '.join(names)}" + (f" (did you mean {close[0]}?)" if close else "")


@dataclass(frozen=True)
class Part:
    """Base of `Block`, `Stem`, `Head` and `Auxiliary`; subclasses are frozen dataclasses."""

    label: ClassVar[str] = ""

    def __init_subclass__(cls, abstract: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if abstract:
            return
        cls.label = snake_case(cls.__name__)
        other = REGISTRY.get(cls.label)
        if other is not None and (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
            raise SpaceError(
                f"part names must differ, but {cls.label} is defined in {other.__module__} and {cls.__module__}"
            )
        REGISTRY[cls.label] = cls

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if not is_open(value):
                object.__setattr__(self, f.name, _coerce(self.label, f.name, f.type, value))
        if not is_open(self):
            self.check()

    def check(self) -> None:
        """Raise `ArchError` when the values make no such part; called once no hole is left."""

    def widened(self, factor: float) -> Self:
        """The part with its own channels times `factor`; one without, or with relative ones, is the same."""
        return self

    def __str__(self) -> str:
        said = [
            f"{f.name}={text(getattr(self, f.name))}"
            for f in fields(self)
            if f.default is MISSING or getattr(self, f.name) != f.default
        ]
        return f"{self.label}({', '.join(said)})" if said else self.label


class Block(Part, abstract=True):
    """A recipe from a paper: expands to a layer, given channels in and out and a stride."""

    repeats: ClassVar[bool] = True
    """Whether a deeper network has more of them; a pool stays alone."""

    def deepened(self, factor: float) -> Self:
        """The block with its own layers times `factor`; most have none of their own and are repeated instead."""
        return self

    def widened_to(self, width: int, factor: float, in_channels: int, before: int) -> tuple[Self, int]:
        """The block and its stage's width times `factor`, where `in_channels` reach it, which were `before`."""
        return self.widened(factor), scaled_width(width, factor)

    def layer(self, in_channels: int, out_channels: int, stride: int) -> Layer:
        raise TypeError(f"{type(self).__name__} is abstract: it has no layer")


class Stem(Part, abstract=True):
    """The first layers of a network, which read the image."""

    def layer(self, in_channels: int) -> Layer:
        raise TypeError(f"{type(self).__name__} is abstract: it has no layer")


class Head(Part, abstract=True):
    """The last layers of a network, which end in one number a class."""

    def layer(self, in_channels: int, num_classes: int) -> Layer:
        raise TypeError(f"{type(self).__name__} is abstract: it has no layer")


class Auxiliary(Part, abstract=True):
    """A classifier beside the network that exists only while training; its loss counts by `weight`."""

    weight: float

    def layer(self, in_channels: int, num_classes: int) -> Layer:
        raise TypeError(f"{type(self).__name__} is abstract: it has no layer")


def text(value: Any) -> str:
    """The text of a field's value; `search_spaces.parser` reads it back."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, tuple):
        return f"({', '.join(text(v) for v in value)})"
    return str(value)


def _coerce(part: str, name: str, declared: Any, value: Any) -> Any:
    """The value as the field's declared type; whole numbers serve as floats, nothing else is converted."""
    kind = declared.__name__ if type(declared) is type else str(declared)  # "int", "tuple[int, ...]"
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind == "float" and number and abs(value) < 1e9:
        return float(value)
    if kind == "int" and number and float(value).is_integer():
        return int(value)
    if kind == "bool" and isinstance(value, bool):
        return value
    if kind == "str" and isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w-]*", value):
        return value
    if kind == "tuple[int, ...]" and isinstance(value, tuple) and all(type(v) is int for v in value):
        return value
    wanted = {"str": "a word", "bool": "true or false", "int": "a whole number", "float": "a number"}.get(kind, kind)
    raise ArchError(f"{part}: {name} must be {wanted}, but got {text(value)}")


# -------------------------------------------------------------- checks that many parts make of fields


def require(holds: bool, rule: str, part: Part) -> None:
    """Raise `ArchError` with the rule and the part when it does not hold."""
    if not holds:
        raise ArchError(f"{part.label}: {rule} must hold, but got {part}")


def check_kernel(part: Part, *kernels: int) -> None:
    require(all(1 <= k <= MAX_KERNEL and k % 2 == 1 for k in kernels), f"odd kernels from 1 to {MAX_KERNEL}", part)


def check_channels(part: Part, *channels: int) -> None:
    require(all(1 <= c <= MAX_CHANNELS for c in channels), f"1 to {MAX_CHANNELS} channels", part)


def check_act(part: Part, *acts: str) -> None:
    for act in acts:
        require(act in ACTIVATIONS, f"an activation out of {', '.join(ACTIVATIONS)}", part)
