"""Errors that are the user's to mend."""


class UserError(Exception):
    """A user's mistake: one sentence with the rule, what was received and what would work."""
