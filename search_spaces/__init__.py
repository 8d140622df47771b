"""The language: architectures as data, search spaces as architectures with holes, exact costs.

Standard library only. `Arch.parse(text)`, `cost(arch)` and `named_space("mobile")` are the way in.
"""

from search_spaces.arch import Arch, Stage
from search_spaces.cost import Cost, cost, ledger
from search_spaces.errors import ArchError, BudgetError, LanguageError, SpaceError
from search_spaces.holes import IntRange, OneOf

__all__ = [
    "Arch",
    "ArchError",
    "BudgetError",
    "Cost",
    "IntRange",
    "LanguageError",
    "OneOf",
    "SpaceError",
    "Stage",
    "cost",
    "ledger",
]
