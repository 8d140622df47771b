"""Samplers, one a file: each module has `ABOUT`, one line, and `proposer()`, which makes a `Proposer`.

A proposer says what to look at next. It may say anything that lies in the space: `nas.budgeted`
repairs what is over budget and passes over what was seen, before anything is built.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Protocol, runtime_checkable

from nas.errors import UserError
from search_spaces.arch import Arch
from search_spaces.feasible import Feasible
from search_spaces.part import one_of


class Proposer(Protocol):
    """Proposes architectures, given the study so far and a seed that differs from trial to trial."""

    def __call__(self, study: Any, trial: Any, feasible: Feasible, seed: int) -> Callable[[], Arch]:
        """Return a function whose every call proposes once more for this trial."""


@runtime_checkable
class Judge(Protocol):
    """A proposer with a model of accuracy, which can learn what a further number of each network is worth."""

    def best(
        self,
        study: Any,
        feasible: Feasible,
        candidates: Sequence[Arch],
        hint: Callable[[Arch], float],
        usual: Sequence[Arch],
        seed: int,
    ) -> Arch | None:
        """The most promising candidate, given each one's `hint` beside its choices and cost.

        None while too little is known. `usual` are uniform draws, whose hints are known as well.
        """


_HELPERS = ("from_optuna",)


def names() -> list[str]:
    """The samplers to choose from."""
    return sorted(module.name for module in iter_modules(__path__) if module.name not in _HELPERS)


def find(name: str) -> Proposer:
    """The proposer of a name; raise `UserError` that lists the known."""
    if name not in names():
        raise UserError(f"a sampler is {one_of(name, names())}, but got {name!r}")
    proposer: Proposer = import_module(f"{__name__}.{name}").proposer()
    return proposer
