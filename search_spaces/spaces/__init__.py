"""Named search spaces, one a file: each module holds `SPACE`, and is found by its file's name."""

from __future__ import annotations

import runpy
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from search_spaces.errors import SpaceError
from search_spaces.part import Part, one_of
from search_spaces.space import Space

RUN = "<space file>"  # the module of what such files define


def names() -> list[str]:
    """The named spaces."""
    return sorted(module.name for module in iter_modules(__path__))


@lru_cache(maxsize=32)
def find(spec: str) -> Space:
    """A named space (`mobile`), or one of the user's own: `path/to/file.py:name`.

    A space file is Python and is run: take it only from people you trust.
    """
    if spec in names():
        space = import_module(f"{__name__}.{spec}").SPACE
        assert isinstance(space, Space)
        return space
    if ".py" in spec:
        return _from_file(*_split(spec))
    raise SpaceError(f"a space is {one_of(spec, names())} or path/to/file.py:name, but got {spec!r}")


def _split(spec: str) -> tuple[Path, str]:
    path, _, name = spec.rpartition(".py")
    return Path(path + ".py"), name.removeprefix(":") or "SPACE"


def defines(part: Part) -> bool:
    """Whether a space file defined it."""
    return type(part).__module__ == RUN


def define(path: Path) -> dict[str, Any]:
    """Run a space file, so that the blocks that it defines are known; return what it holds."""
    if not path.is_file():
        raise SpaceError(f"a space file must exist, but got {path}")
    try:
        return runpy.run_path(str(path), run_name=RUN)
    except (Exception, SystemExit) as error:
        line = _line_in(error, path)
        raise SpaceError(f"a space file must run, but {path}{line} raised {type(error).__name__}: {error}") from error


def _from_file(path: Path, name: str) -> Space:
    found = define(path)
    if not isinstance(found.get(name), Space):
        spaces = [key for key, value in found.items() if isinstance(value, Space)]
        held = ", ".join(spaces) or "no space"
        raise SpaceError(f"{path}:{name} must be a Space, but the file holds {held}: name one as {path}:NAME")
    space = found[name]
    assert isinstance(space, Space)
    return space


def _line_in(error: BaseException, path: Path) -> str:
    """':line' of the deepest frame of the error that lies in the file."""
    trace, line = error.__traceback__, getattr(error, "lineno", None)
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f":{line}" if line else ""
