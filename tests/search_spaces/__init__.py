"""Tests of the language. A package, so that its name does not hide `search_spaces` itself."""
