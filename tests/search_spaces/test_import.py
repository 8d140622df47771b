"""The language stands on the standard library alone, and starts at once."""

import subprocess
import sys

READ_EVERYTHING = """
import sys
before = set(sys.modules)
import search_spaces
from importlib import import_module
from pkgutil import walk_packages
for module in walk_packages(search_spaces.__path__, "search_spaces."):
    import_module(module.name)
from search_spaces.spaces import find, names
for name in names():
    find(name)
print(*sorted({name.split(".")[0] for name in set(sys.modules) - before}))
"""


def test_the_language_imports_the_standard_library_only() -> None:
    ran = subprocess.run([sys.executable, "-c", READ_EVERYTHING], capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.split())
    assert "search_spaces" in loaded
    assert loaded - {"search_spaces"} <= set(sys.stdlib_module_names)
    assert not loaded & {"torch", "numpy", "optuna", "nas", "dashboard"}
