"""What stands beside every export: its name, which a module may have, and what NAME.json tells of it."""

from __future__ import annotations

import platform
import sys
import sysconfig
from importlib.machinery import PathFinder
from importlib.metadata import version
from keyword import iskeyword

from nas.packaging.fresh_process import REFUSED
from nas.packaging.package import ExportError, Package

_UNFIT = {*sys.stdlib_module_names, *REFUSED}
_INSTALLED = [sysconfig.get_path(kind) for kind in ("purelib", "platlib")]


def check_name(name: str) -> None:
    """Raise `ExportError` unless the name can be that of a module beside the installed ones and this project."""
    # not looked for in the working directory, where an earlier export may lie
    if not name.isidentifier() or iskeyword(name) or name in _UNFIT or PathFinder.find_spec(name, _INSTALLED):
        raise ExportError(f"a module's name must be a Python identifier that no other module has, but got {name!r}")


def spec(package: Package, name: str) -> dict[str, object]:
    """What NAME.json holds."""
    versions = {package_name: version(package_name) for package_name in ("torch", "nas-explorer")}
    return {**package.spec(name), "exported_with": {"python": platform.python_version(), **versions}}
