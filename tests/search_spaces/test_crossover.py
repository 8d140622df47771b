"""A child of two networks takes after both, and after nothing else."""

from __future__ import annotations

from random import Random

import pytest

from search_spaces.arch import Arch
from tests.search_spaces.small import SMALL

PARENTS = {
    "flat": (
        "r16 | conv_stem(width=8) | inverted_residual(kernel=3, expand=2) c8 s2 | fire c16 | pool_head",
        "r32 | conv_stem(width=16) | inverted_residual(kernel=5, expand=4) c24 n2 s2 | fire c32 | pool_head",
    ),
    "nested": (
        "r8 | conv_stem(width=8) | fire(squeeze=0.5) c16 | inverted_residual(expand=1) c16 | pool_head",
        "r16 | conv_stem(width=16, kernel=5) | skip c16 s2 | inverted_residual(expand=3) c32 n2 | pool_head(width=16)",
    ),
}


@pytest.mark.parametrize("name", PARENTS)
def test_every_choice_of_either_parent_is_passed_on_and_no_other(name: str) -> None:
    """Holes of an alternative that one parent alone has come from it."""
    space, rng, (one, other) = SMALL[name], Random(0), map(Arch.parse, PARENTS[name])
    mine, theirs = space.params(one), space.params(other)
    children = [space.params(space.crossover(one, other, rng)) for _ in range(200)]
    assert {choice for child in children for choice in child.items()} == {*mine.items(), *theirs.items()}
    assert sum(child not in (mine, theirs) for child in children) > 150, "most take after both"
