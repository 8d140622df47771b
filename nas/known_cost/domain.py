"""What a search by known cost is asked about: choices, and the candidates that they make."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol, TypeVar

Label = str | int | float | bool
T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True)
class Parameter:
    """A choice: its options, and the `kind` that it shares with choices of like meaning."""

    name: str
    options: tuple[Label, ...]
    kind: str = ""

    @property
    def ordered(self) -> bool:
        """Whether the options are numbers, so that one lies nearer than another."""
        return all(isinstance(o, (int, float)) and not isinstance(o, bool) for o in self.options)


class Domain(Protocol[T]):
    """The candidates there are: all that comes out of it is valid and within the budget."""

    @property
    def parameters(self) -> Sequence[Parameter]:
        """Every choice, also those that only some candidates have."""

    @property
    def dearest(self) -> float:
        """The largest cost that is allowed."""

    def draw(self, rng: Random) -> T:
        """A uniform draw."""

    def child(self, one: T, other: T, rng: Random) -> T | None:
        """A mutant of `one`, or of both where they differ; None when none was met."""

    def neighbours(self, one: T) -> Iterable[T]:
        """Candidates that differ in one choice."""

    def params(self, one: T) -> Mapping[str, Label]:
        """The choices of a candidate; those that it does not have are missing."""

    def cost(self, one: T) -> float:
        """What it costs, above 0."""
