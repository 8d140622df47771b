"""Hypothesis strategies for the words of the language: architectures and parts."""

from __future__ import annotations

from dataclasses import MISSING, fields
from random import Random
from typing import Any

from hypothesis import strategies as st

from search_spaces.arch import Arch
from search_spaces.errors import ArchError
from search_spaces.layers import ACTIVATIONS
from search_spaces.part import Block, Part, known
from search_spaces.spaces import find, names

SEEDS = st.integers(0, 2**32 - 1)

# What to try in a field, by its type; each value is kept only where the part accepts it.
TRIED: dict[str, tuple[Any, ...]] = {
    "int": (0, 1, 2, 3, 4, 5, 7, 8, 12, 16),
    "float": (0.0, 0.125, 0.25, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0, 6.0, 1e-4),
    "bool": (False, True),
    "str": (*ACTIVATIONS, "none", "simple", "complex"),
    "tuple[int, ...]": ((), (4, 8, 2, 2), (1, 1, 13, 1), (1, 2, 3, 4), (2,)),
}

# Fields that tie a part to one width of its stage, or change its size: valid by themselves, but not in any place.
TIED = {"transition", "widths", "ceil", "valid"}


def archs(*spaces: str) -> st.SearchStrategy[Arch]:
    """Valid architectures: uniform draws from the named spaces, all of them by default."""
    return st.builds(
        lambda name, seed: find(name).sample(Random(seed)), st.sampled_from(sorted(spaces) or names()), SEEDS
    )


def parts(kind: type[Part] = Block) -> st.SearchStrategy[Part]:
    """Parts of a kind with random valid fields; what is registered is covered without being named here."""
    return st.one_of([fields_of(cls) for cls in known(kind).values()])


def fields_of(cls: type[Part]) -> st.SearchStrategy[Part]:
    """One part with random valid fields."""
    choices = {f.name: st.sampled_from(accepted(cls, f.name)) for f in fields(cls)}
    return st.fixed_dictionaries(choices).map(lambda values: made(cls, **values)).filter(lambda p: p is not None)


def required(cls: type[Part]) -> dict[str, int]:
    """Fields without a default, filled: by now these are widths."""
    return {f.name: 8 for f in fields(cls) if f.default is MISSING}


def accepted(cls: type[Part], name: str) -> list[Any]:
    """The tried values that a part accepts in one field, the default first."""
    (field,) = (f for f in fields(cls) if f.name == name)
    default = required(cls).get(name, field.default)
    kind = field.type.__name__ if type(field.type) is type else str(field.type)
    tried = () if name in TIED else TRIED[kind]
    others = [value for value in tried if made(cls, **(required(cls) | {name: value})) is not None]
    return [default, *(value for value in others if value != default)]


def made(cls: type[Part], **values: Any) -> Part | None:
    """The part, or None where it refuses the values."""
    try:
        return cls(**values)
    except ArchError:
        return None
