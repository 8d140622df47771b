"""A rule is told from another by what it does, alike in every process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import pytest

from search_spaces.arch import Stage
from search_spaces.layers import Shape
from search_spaces.space import Space
from search_spaces.spaces import find, names
from tests.search_spaces.small import NESTED

Rule = Callable[[Stage, Shape], bool]
SHIPPED = {
    "dense": "4079e9f4438d1198",
    "grouped": "b461df9fa30ad7fb",
    "inception": "be89f820295ad8a5",
    "mixed": "e363bca6967b8da9",
    "mobile": "504bd8c2e10a3738",
    "nin": "6c9ddcc67ece1874",
    "shuffle": "8fb21c4d5452c2ed",
    "squeeze": "dfb4e136cab24647",
}


def printed(rule: Rule) -> str:
    return Space("ruled", NESTED.template, rules=(rule,)).fingerprint


def least(width: int) -> Rule:
    return lambda stage, shape: stage.width >= width


def above(least: int, stage: Stage, shape: Shape) -> bool:
    return stage.width >= least


class Above:
    def __init__(self, least: int) -> None:
        self.least = least

    def __call__(self, stage: Stage, shape: Shape) -> bool:
        return stage.width >= self.least

    def strictly(self, stage: Stage, shape: Shape) -> bool:
        return stage.width > self.least


@dataclass(frozen=True)
class Below:
    most: int

    def __call__(self, stage: Stage, shape: Shape) -> bool:
        return stage.width <= self.most


def of_module(least: int) -> Rule:
    """A rule as a file would hold it, beside a constant."""
    module = {"LEAST": least}
    exec("def rule(stage, shape): return stage.width >= LEAST", module)
    return module["rule"]  # type: ignore[return-value]


def counts_down(least: int) -> Rule:
    def rule(stage: Stage, shape: Shape, left: int = 1) -> bool:
        return rule(stage, shape, left - 1) if left else stage.width >= least

    return rule


APART: dict[str, tuple[Rule, Rule]] = {
    "comparison": (lambda stage, shape: stage.width >= 16, lambda stage, shape: stage.width <= 16),
    "constant": (lambda stage, shape: stage.width >= 16, lambda stage, shape: stage.width >= 32),
    "attribute": (lambda stage, shape: stage.width >= 16, lambda stage, shape: stage.depth >= 16),
    "argument": (lambda stage, shape: stage.width >= 16, lambda shape, stage: stage.width >= 16),
    "closure": (least(16), least(32)),
    "default": (lambda stage, shape, n=16: stage.width >= n, lambda stage, shape, n=32: stage.width >= n),
    "keyword": (lambda stage, shape, *, n=16: stage.width >= n, lambda stage, shape, *, n=32: stage.width >= n),
    "set": (lambda stage, shape: stage.width in {8, 16}, lambda stage, shape: stage.width in {8, 32}),
    "inner": (
        lambda stage, shape: all(n >= 8 for n in (stage.width, shape.channels)),
        lambda stage, shape: all(n <= 8 for n in (stage.width, shape.channels)),
    ),
    "partial": (partial(above, 16), partial(above, 32)),
    "object": (Above(16), Above(32)),
    "dataclass": (Below(16), Below(32)),
    "method": (Above(16).strictly, Above(32).strictly),
    "module": (of_module(16), of_module(32)),
    "cached": (cache(least(16)), cache(least(32))),
    "recursion": (counts_down(16), counts_down(32)),
}
SAME: dict[str, tuple[Rule, Rule]] = {
    "closure": (least(16), least(16)),
    "partial": (partial(above, 16), partial(above, 16)),
    "object": (Above(16), Above(16)),
    "dataclass": (Below(16), Below(16)),
    "module": (of_module(16), of_module(16)),
    "recursion": (counts_down(16), counts_down(16)),
}


@pytest.mark.parametrize("kind", APART)
def test_rules_that_differ_have_other_fingerprints(kind: str) -> None:
    one, other = APART[kind]
    assert printed(one) != printed(other)


@pytest.mark.parametrize("kind", SAME)
def test_rules_that_do_the_same_have_one_fingerprint(kind: str) -> None:
    one, other = SAME[kind]
    assert printed(one) == printed(other)


RULED = """
from search_spaces.space import Space
from search_spaces.spaces import find

KINDS = frozenset({"fire", "dense", "mlpconv", "skip"})

def rule(stage, shape):
    known = all(label != "none" for label in (stage.label, "x"))
    return known and stage.label in {"fire", "dense", "mlpconv"} and (lambda w: w > 8)(stage.width)

SPACE = Space("ruled", find("squeeze").template, rules=(rule, lambda stage, shape, kinds=KINDS: stage.label in kinds))
"""


def test_fingerprints_are_the_same_in_every_process(tmp_path: Path) -> None:
    """Whatever order sets have there, and wherever code lies."""
    path = tmp_path / "ruled.py"
    path.write_text(RULED)
    ask = f"from search_spaces.spaces import find; print(find({str(path)!r}).fingerprint)"
    found = {
        subprocess.run(
            [sys.executable, "-c", ask],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in "1234"
    }
    assert len(found) == 1


def test_fingerprints_of_named_spaces_stay() -> None:
    """They have no rules; studies that go on are held against them."""
    assert {name: find(name).fingerprint for name in names()} == SHIPPED
