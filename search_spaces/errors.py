"""What can be wrong with a text, a network or a space.

Each message is one sentence: the rule, what was received, what would work.
"""


class LanguageError(ValueError):
    """Base of everything this package raises on a user's mistake."""


class ArchError(LanguageError):
    """An architecture that cannot be read, or whose layers do not fit together."""


class SpaceError(LanguageError):
    """A search space that is not one, or an architecture that does not lie in it."""


class BudgetError(LanguageError):
    """A budget that cannot be read, or that no network of the space meets."""
