"""The tests mirror the tree; what they share is imported as `tests.…`."""
