"""What tells one rule of a space from another, as a text that is the same in every process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from dis import get_instructions
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any

PLAIN = (bool, int, float, complex, str, bytes, type(None), type(...))


def identity(value: Any, inside: tuple[int, ...] = ()) -> str:
    """A text that two rules share when they do the same.

    A function is its bytecode (which differs between versions of Python), the constants and names in it, its
    defaults, and what it closes over; plain values of its module count, what else it calls there by its name. An
    object is its class, its call and its attributes.
    """
    if isinstance(value, PLAIN):
        return repr(value)
    if id(value) in inside:
        return "itself"
    inside = (*inside, id(value))

    def each(*values: Any) -> str:
        return f"({', '.join(identity(v, inside) for v in values)})"

    if isinstance(value, (tuple, list)):
        return each(*value)
    if isinstance(value, (set, frozenset)):
        return str(sorted(identity(v, inside) for v in value))
    if isinstance(value, Mapping):
        return str(sorted(each(*pair) for pair in value.items()))
    if isinstance(value, FunctionType):
        closed = [cell.cell_contents for cell in value.__closure__ or ()]
        return _code(value.__code__, value.__globals__) + each(value.__defaults__, value.__kwdefaults__, closed)
    if isinstance(value, MethodType):
        return each(value.__func__, value.__self__)
    if isinstance(value, partial):
        return "partial" + each(value.func, value.args, value.keywords)
    if hasattr(value, "__wrapped__"):  # what `functools.cache` makes of a function
        return identity(value.__wrapped__, inside)
    if hasattr(value, "__qualname__"):  # a class, or a function that is not Python's
        return str(value.__qualname__)
    call = type(value).__call__ if callable(value) else None
    return type(value).__qualname__ + each(call, _attributes(value))


def _code(code: CodeType, module: Mapping[str, Any]) -> str:
    """A function's code, and of each function inside; without the address and lines that its repr has."""
    constants = [_code(c, module) if isinstance(c, CodeType) else identity(c) for c in code.co_consts]
    read = {i.argval for i in get_instructions(code) if i.opname == "LOAD_GLOBAL"}
    known = {name: module[name] for name in read & module.keys() if isinstance(module[name], PLAIN)}
    names = (code.co_names, code.co_varnames, code.co_freevars)
    return f"{code.co_code.hex()} {code.co_exceptiontable.hex()} {names} {constants} {identity(known)}"


def _attributes(value: Any) -> Any:
    if is_dataclass(value):  # whose dictionary may hold what was computed meanwhile
        return {f.name: getattr(value, f.name) for f in fields(value)}
    if hasattr(value, "__dict__"):
        return vars(value)
    said: Any = type(value).__repr__
    return None if said is object.__repr__ else repr(value)  # object's own holds an address
