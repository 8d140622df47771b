"""Options: the same from a command line and from a program."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from nas import scale, search, train, zoo
from nas.options import ListedOptions, SearchOptions, TrainingOptions
from nas.progress import Limits
from nas.session import open_session
from nas.store import open_study
from search_spaces.budget import Budget
from search_spaces.errors import BudgetError


def test_defaults_are_those_of_the_commands() -> None:
    args = search.parser().parse_args(["--budget", "300MFLOPs"])
    assert SearchOptions.of(args) == SearchOptions(budget=Budget.parse("300MFLOPs"))
    assert {field.name for field in fields(SearchOptions)} <= vars(args).keys()
    for listing in (zoo, scale):
        assert ListedOptions.of(listing.parser().parse_args([])) == ListedOptions()
    assert TrainingOptions.of(train.parser().parse_args([])) == TrainingOptions(recipe="final", seed=0)


def test_each_argument_reaches_its_field() -> None:
    line = "--budget 5Mparams --space mixed --resolution 160 --sampler random --steps 7 --lr 0.5 --rungs 2 --study s"
    assert SearchOptions.of(search.parser().parse_args(line.split())) == SearchOptions(
        budget=Budget.parse("5Mparams"), space="mixed", resolution="160", sampler="random", steps=7, lr=0.5, rungs=2,
        study="s",
    )  # fmt: skip


def test_a_program_searches_as_the_command_does(tmp_path: Path) -> None:
    options = SearchOptions(
        budget="120MFLOPs", results=tmp_path, study="own", steps=2, batch_size=8, train_resolution=16, device="cpu"
    )
    session = open_session(options)
    assert session.search.run(Limits(trials=2)) == "2 trials are done"
    front = open_study(f"sqlite:///{tmp_path / 'nas.db'}", "own").front()
    assert [c.arch for c in session.stored.front()] == [c.arch for c in front]
    assert all(c.cost.flops <= 120_000_000 for c in front)


def test_a_budget_below_the_space_is_told_before_anything_is_opened(tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match="cheapest network of mobile"):
        open_session(SearchOptions(budget="1FLOPs", results=tmp_path / "results"))
    assert not (tmp_path / "results").exists()
