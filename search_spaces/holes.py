"""Holes: choices left open in a field.

`OneOf` and `IntRange` are typed as the value that will fill them, so that a block with holes
type-checks like a block without (the trick of `dataclasses.field`). What they return is a `Hole`.

    InvertedResidual(kernel=OneOf(3, 5, 7), expand=IntRange(3, 6))
    Stage(OneOf(Fire(bypass=OneOf("none", "simple")), InvertedResidual()), width=OneOf(32, 64))

A hole's options are known by *labels*: numbers and words stand for themselves, blocks for their
name (`fire`, and `fire#2` for a second one). Labels are scalars, so Optuna can store them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property
from typing import Any, TypeVar, cast

from search_spaces.errors import SpaceError

T = TypeVar("T")
Label = str | int | float | bool
MAX_OPTIONS = 4096


class Hole:
    """A choice left open: `options` to fill it with, and their `labels` in the same order."""

    options: tuple[Any, ...]

    @property
    def ordered(self) -> bool:
        """Whether the options are numbers, so that one lies nearer than another."""
        return all(isinstance(o, (int, float)) and not isinstance(o, bool) for o in self.options)

    @cached_property
    def labels(self) -> tuple[Label, ...]:
        names: list[Label] = []
        for option in self.options:
            name = _label(option)
            same = sum(n == name or (isinstance(n, str) and n.startswith(f"{name}#")) for n in names)
            names.append(f"{name}#{same + 1}" if same else name)
        return tuple(names)

    def option(self, label: Label) -> Any:
        """The option that `label` names."""
        for name, option in zip(self.labels, self.options, strict=True):
            if name == label:
                return option
        raise SpaceError(f"a choice must be one of {', '.join(map(str, self.labels))}, but got {label!r}")


@dataclass(frozen=True)
class Choice(Hole):
    """One of several options; blocks among them may have holes of their own."""

    options: tuple[Any, ...]

    def __post_init__(self) -> None:
        if len(self.options) < 1 or len(self.options) > MAX_OPTIONS:
            raise SpaceError(f"OneOf needs 1 to {MAX_OPTIONS} options, but got {len(self.options)}")
        if any(isinstance(o, Hole) for o in self.options):
            raise SpaceError("OneOf directly inside OneOf is the same choice: write its options in one list")
        if len(set(self.options)) < len(self.options):
            raise SpaceError(f"the options of OneOf must differ, but got {self}")

    def __str__(self) -> str:
        return f"OneOf({', '.join(map(str, self.options))})"


@dataclass(frozen=True)
class Range(Hole):
    """A whole number from `low` to `high` by `step`."""

    low: int
    high: int
    step: int = 1

    def __post_init__(self) -> None:
        if not (self.low <= self.high and self.step >= 1 and (self.high - self.low) % self.step == 0):
            raise SpaceError(f"low <= high must hold and step must divide the distance, but got {self}")
        if len(self.options) > MAX_OPTIONS:
            raise SpaceError(f"IntRange may offer at most {MAX_OPTIONS} numbers, but got {self}")

    @cached_property
    def options(self) -> tuple[int, ...]:  # type: ignore[override]  # computed here, stored in Choice
        return tuple(range(self.low, self.high + 1, self.step))

    def __str__(self) -> str:
        return f"IntRange({self.low}, {self.high}, {self.step})"


def OneOf(*options: T) -> T:  # noqa: N802 - reads as the noun it stands for
    """Leave a field open to one of `options` (scalars, tuples, blocks or stages)."""
    return cast(T, Choice(options))


def IntRange(low: int, high: int, step: int = 1) -> int:  # noqa: N802 - as OneOf
    """Leave a field open to the whole numbers from `low` to `high` by `step`."""
    return cast(int, Range(low, high, step))


def _label(option: Any) -> Label:
    if isinstance(option, (str, int, float)):
        return option
    return getattr(option, "label", None) or str(option).replace(" ", "")


def scope(path: str, label: Label, option: Any) -> str:
    """Path of the holes inside an option: scoped by its label, so that they are conditional on it."""
    return f"{path}.{label}" if is_dataclass(option) or isinstance(option, tuple) else path


def is_open(node: Any) -> bool:
    """Whether there is a hole anywhere in `node`."""
    if isinstance(node, Hole):
        return True
    if isinstance(node, tuple):
        return any(is_open(item) for item in node)
    if is_dataclass(node):
        return any(is_open(getattr(node, f.name)) for f in fields(node))
    return False


def children(node: Any, path: str) -> Iterator[tuple[str, str, Any]]:
    """(field name, path, value) of the fields of `node` that have holes; stages count from 1."""
    for f in fields(node):
        value = getattr(node, f.name)
        if isinstance(value, tuple) and not isinstance(value, Hole) and f.name == "stages":
            for i, item in enumerate(value, 1):
                if is_open(item):
                    yield f.name, f"stage{i}", item
        elif is_open(value):
            yield f.name, f"{path}.{f.name}" if path else f.name, value


Chooser = Callable[[str, Hole], Label]


def fill(node: T, choose: Chooser, path: str = "") -> T:
    """Fill every hole of `node`, outermost first, with the option whose label `choose(path, hole)` returns.

    The one traversal of the language: sampling, asking Optuna, reading parameters back, mutation and
    crossover differ only in `choose`.
    """
    if isinstance(node, Hole):
        label = choose(path, node)
        option = node.option(label)
        return cast(T, fill(option, choose, scope(path, label, option)))
    if isinstance(node, tuple):
        filled = tuple(fill(item, choose, f"{path}.{i}") for i, item in enumerate(node, 1))
        return cast(T, filled)
    if not is_dataclass(node) or not is_open(node):
        return node
    changed: dict[str, Any] = {}
    for name, where, value in children(node, path):
        if name == "stages":
            items = changed.setdefault(name, list(getattr(node, name)))
            items[int(where.removeprefix("stage")) - 1] = fill(value, choose, where)
        else:
            changed[name] = fill(value, choose, where)
    changed = {name: tuple(v) if isinstance(v, list) else v for name, v in changed.items()}
    return cast(T, replace(cast(Any, node), **changed))


def holes(node: Any, path: str = "") -> Iterator[tuple[str, Hole]]:
    """Every hole below `node` with its path, inactive alternatives included, outermost first."""
    if isinstance(node, Hole):
        yield path, node
        for label, option in zip(node.labels, node.options, strict=True):
            yield from holes(option, scope(path, label, option))
    elif isinstance(node, tuple):
        for i, item in enumerate(node, 1):
            yield from holes(item, f"{path}.{i}")
    elif is_dataclass(node):
        for _, where, value in children(node, path):
            yield from holes(value, where)


def match(node: Any, value: Any, path: str = "") -> dict[str, Label] | None:
    """Labels that fill `node` to `value`, by path; None when no filling does."""
    if isinstance(node, Hole):
        for label, option in zip(node.labels, node.options, strict=True):
            inner = match(option, value, scope(path, label, option))
            if inner is not None:
                return {path: label, **inner}
        return None
    if isinstance(node, tuple) and isinstance(value, tuple):
        return _match_all(
            ((item, v, f"{path}.{i}") for i, (item, v) in enumerate(zip(node, value, strict=True), 1))
            if len(node) == len(value)
            else None
        )
    if not is_open(node) or type(node) is not type(value):
        return {} if _same(node, value) else None
    opened = {(name, where): item for name, where, item in children(node, path)}
    for f in fields(node):
        if not any(name == f.name for name, _ in opened) and getattr(node, f.name) != getattr(value, f.name):
            return None
    return _match_all(_pairs(node, value, opened))


def _same(option: Any, value: Any) -> bool:
    """Equal, and `True` is not 1; but 3 is 3.0, which a field of floats makes of it."""
    return option == value and (type(option) is type(value) or {type(option), type(value)} == {int, float})


def _pairs(node: Any, value: Any, opened: dict[tuple[str, str], Any]) -> Iterator[tuple[Any, Any, str]] | None:
    if any(name == "stages" for name, _ in opened):
        if len(node.stages) != len(value.stages):
            return None
        plain = zip(node.stages, value.stages, strict=True)
        if any(not is_open(stage) and stage != found for stage, found in plain):
            return None
    return (
        (item, value.stages[int(where.removeprefix("stage")) - 1] if name == "stages" else getattr(value, name), where)
        for (name, where), item in opened.items()
    )


def _match_all(pairs: Iterator[tuple[Any, Any, str]] | None) -> dict[str, Label] | None:
    if pairs is None:
        return None
    found: dict[str, Label] = {}
    for item, value, path in pairs:
        inner = match(item, value, path)
        if inner is None:
            return None
        found.update(inner)
    return found


def count(node: Any) -> int:
    """Number of ways to fill the holes of `node`."""
    if isinstance(node, Hole):
        return sum(count(option) for option in node.options)
    if isinstance(node, tuple):
        total = 1
        for item in node:
            total *= count(item)
        return total
    if is_dataclass(node) and is_open(node):
        total = 1
        for _, _, value in children(node, ""):
            total *= count(value)
        return total
    return 1


def fillings(node: Any) -> Iterator[Any]:
    """Every filling of `node`."""
    if isinstance(node, Hole):
        for option in node.options:
            yield from fillings(option)
    elif isinstance(node, tuple):
        yield from _product(node)
    elif is_dataclass(node) and is_open(node):
        opened = [(f.name, getattr(node, f.name)) for f in fields(node) if is_open(getattr(node, f.name))]
        for values in _product(tuple(value for _, value in opened)):
            names = (name for name, _ in opened)
            yield replace(cast(Any, node), **dict(zip(names, values, strict=True)))
    else:
        yield node


def _product(nodes: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    if not nodes:
        yield ()
        return
    for rest in _product(nodes[:-1]):
        for last in fillings(nodes[-1]):
            yield (*rest, last)
