"""What a search or a training is asked for: the commands read it from their arguments, a program writes it.

Each field is the argument of its name, explained by the command's `--help`. Nothing here imports torch.

    session = open_session(SearchOptions(budget="300MFLOPs", space="mobile", data="path/to/images"))  # of nas.session
    session.search.run(Limits(trials=16))  # of nas.progress
    session.stored.front()
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Self

from nas.cli import chosen_space
from nas.latency.budgets import within
from search_spaces.budget import Budget
from search_spaces.feasible import Feasible


@dataclass(frozen=True, kw_only=True)
class Options:
    """What all have in common: they can be read from a command line."""

    @classmethod
    def of(cls, args: argparse.Namespace) -> Self:
        """The arguments of the fields' names; where the command has none, the field's default."""
        given = vars(args)
        return cls(**{field.name: given[field.name] for field in fields(cls) if field.name in given})


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(Options):
    """How networks are trained; None takes what the recipe says."""

    recipe: str = "quick"
    data: str | None = None
    seed: int | None = None
    epochs: float | None = None
    steps: int | None = None
    train_resolution: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    precision: str | None = None
    compile: bool | None = None
    device: str = "auto"
    threads: int | None = None


@dataclass(frozen=True, kw_only=True)
class StudyOptions(TrainingOptions):
    """And the study that it is kept in."""

    study: str | None = None
    storage: str | None = None
    results: Path = Path("results")
    candidate_timeout: float = 900.0


@dataclass(frozen=True, kw_only=True)
class ListedOptions(StudyOptions):
    """Of networks that are listed, not searched for."""

    like: str | None = None
    candidate_timeout: float = 3600.0


@dataclass(frozen=True, kw_only=True)
class SearchOptions(StudyOptions):
    """Of a search in a space, within a budget."""

    budget: Budget | str
    space: str = "mobile"
    resolution: str | None = None
    in_channels: int = 3
    num_classes: int = 1000
    sampler: str = "known_cost"
    rungs: int | None = None
    reduction: int | None = None
    prefilter: str | None = None
    evaluator: str = "short"

    @cached_property
    def feasible(self) -> Feasible:
        """The networks that may be proposed; raise `LanguageError` or `UserError` where there are none."""
        budget = Budget.parse(self.budget) if isinstance(self.budget, str) else self.budget
        return within(chosen_space(self.space, self.resolution), budget, self.in_channels, self.num_classes)
