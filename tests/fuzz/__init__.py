"""Everything that parses, fed with what it was not made for.

targets.py holds a function for each reader; `tests/test_bad_input.py` feeds them with mutations by Hypothesis, and
`python -m tests.fuzz` with what atheris finds by watching which code a text reaches.
"""
