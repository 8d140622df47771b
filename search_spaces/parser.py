"""The inverse of `str(arch)`: a small hand-written reader whose errors show the place.

    arch  := "r" INT ["eps" "=" NUMBER] " | " stem (" | " stage)* " | " head
    stage := part "c" INT ["n" INT] ["s" INT] ["+" part]
    part  := NAME ["(" [FIELD "=" value {"," FIELD "=" value}] ")"]
    value := NUMBER | "true" | "false" | WORD | "(" [value {"," value}] ")"

Texts are data: nothing in them is evaluated, and their length and numbers are limited.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any, NoReturn, TypeVar

from search_spaces.arch import Arch, Stage
from search_spaces.errors import ArchError
from search_spaces.layers import EPS
from search_spaces.part import Auxiliary, Block, Head, Part, Stem, known, one_of

MAX_LENGTH = 50_000
MAX_DIGITS = 24

# possessive (`++`): a token that fails does so at once, without trying every way to split its digits
_NUMBER = r"[-+]?(?:\d++(?:\.\d*+)?+|\.\d++)(?:[eE][-+]?\d++)?+(?![\w.])"
_TOKEN = re.compile(rf"\s*(?:(?P<number>{_NUMBER})|(?P<word>[A-Za-z_][\w-]*)|(?P<sign>[|(),=+]))")
P = TypeVar("P", bound=Part)
T = TypeVar("T")


def parse_arch(text: str) -> Arch:
    """Read an architecture; raise `ArchError`, with the text and a mark at the place."""
    if len(text) > MAX_LENGTH:
        raise ArchError(f"an architecture's text has at most {MAX_LENGTH} characters, but got {len(text)}")
    return _Reader(text).arch()


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.kind = ""
        self.token = ""
        self.start = 0
        self._advance()

    # ------------------------------------------------------------------------------------ tokens

    def _advance(self) -> None:
        found = _TOKEN.match(self.text, self.position)
        if found:
            self.kind = str(found.lastgroup)
            self.token = found[self.kind]
            self.start, self.position = found.start(self.kind), found.end()
            return
        rest = self.text[self.position :]
        self.start = self.position + len(rest) - len(rest.lstrip())
        self.kind, self.token = ("end", "") if not rest.strip() else ("unknown", self.text[self.start])

    def _fail(self, expected: str, at: int | None = None, got: str = "") -> NoReturn:
        """Show the text around the place, a mark below it, and what was expected."""
        at = self.start if at is None else at
        left, right = max(0, at - 60), at + 40
        shown = self.text[left:right].replace("\n", " ").replace("\t", " ")
        before, after = "…" * (left > 0), "…" * (right < len(self.text))
        mark = " " * (at - left + len(before)) + "^"
        got = got or ("the end of the text" if self.kind == "end" else repr(self.token[:40]))
        raise ArchError(
            f"expected {expected}, but got {got} at character {at + 1}:\n  {before}{shown}{after}\n  {mark}"
        )

    def _sign(self, sign: str) -> None:
        if self.kind != "sign" or self.token != sign:
            self._fail(f"'{sign}'")
        self._advance()

    def _lettered(self, letter: str, meaning: str) -> int:
        """A number with a letter before it: r224, c32, n2, s2."""
        if not re.fullmatch(rf"{letter}\d{{1,9}}", self.token):
            self._fail(f"{letter} and a whole number ({meaning})")
        value = int(self.token[1:])
        self._advance()
        return value

    # ----------------------------------------------------------------------------------- grammar

    def arch(self) -> Arch:
        start = self.start
        resolution = self._lettered("r", "resolution, as in r224")
        eps = self._eps() if self.token == "eps" else EPS
        self._sign("|")
        stem = self._part(Stem)
        stages: list[Stage] = []
        self._sign("|")
        while self.token in known(Block):
            stages.append(self._stage())
            self._sign("|")
        head = self._part(Head, also=Block)
        if self.kind != "end":
            self._fail("the end of the text after the head")
        return self._checked(start, Arch, resolution, stem, tuple(stages), head, eps)

    def _eps(self) -> float:
        self._advance()
        self._sign("=")
        value = self._value(nested=True)
        return float(value) if type(value) in (int, float) else value

    def _stage(self) -> Stage:
        start = self.start
        block = self._part(Block)
        width = self._lettered("c", "channels, as in c32")
        depth = self._lettered("n", "repeats") if self.token.startswith("n") and self.kind == "word" else 1
        stride = self._lettered("s", "stride") if self.token.startswith("s") and self.kind == "word" else 1
        aux = None
        if self.kind == "sign" and self.token == "+":
            self._advance()
            aux = self._part(Auxiliary)
        return self._checked(start, Stage, block, width, depth, stride, aux)

    def _part(self, kind: type[P], also: type[Part] | None = None) -> P:
        start, name = self.start, self.token
        names = known(kind)
        if self.kind != "word" or name not in names:
            both = list(names) + (list(known(also)) if also else [])
            what = f"a{'n' * (kind is Auxiliary)} {kind.__name__.lower()}" + (
                f" or a {also.__name__.lower()}" if also else ""
            )
            self._fail(f"{what}, {one_of(name, both)}")
        self._advance()
        cls = names[name]
        values = self._fields(cls) if self.kind == "sign" and self.token == "(" else {}
        missing = [f.name for f in fields(cls) if f.default is MISSING and f.name not in values]
        if missing:
            self._fail(f"{name} with its required {', '.join(missing)}", at=start, got=f"{name} without")
        part = self._checked(start, cls, **values)
        assert isinstance(part, kind)
        return part

    def _fields(self, cls: type[Part]) -> dict[str, Any]:
        declared = [f.name for f in fields(cls)]
        values: dict[str, Any] = {}
        self._sign("(")
        while not (self.kind == "sign" and self.token == ")"):
            if values:
                self._sign(",")
            name = self.token
            if name not in declared:
                self._fail(f"a field of {cls.label}, {one_of(name, declared)}")
            if name in values:
                self._fail(f"each field of {cls.label} once")
            self._advance()
            self._sign("=")
            values[name] = self._value()
        self._sign(")")
        return values

    def _value(self, nested: bool = False) -> Any:
        if self.kind == "number" and len(self.token) <= MAX_DIGITS:
            value: Any = float(self.token) if re.search(r"[.eE]", self.token) else int(self.token)
        elif self.kind == "word":
            value = {"true": True, "false": False}.get(self.token, self.token)
        elif self.token == "(" and not nested:
            return self._tuple()
        else:
            self._fail(f"a number of at most {MAX_DIGITS} digits, a word, true, false or (numbers)")
        self._advance()
        return value

    def _tuple(self) -> tuple[Any, ...]:
        self._sign("(")
        values: list[Any] = []
        while not (self.kind == "sign" and self.token == ")"):
            if values:
                self._sign(",")
            values.append(self._value(nested=True))
        self._sign(")")
        return tuple(values)

    def _checked(self, start: int, make: Callable[..., T], *values: Any, **named: Any) -> T:
        """Make the object; what it refuses is shown with the place where it begins."""
        try:
            return make(*values, **named)
        except ArchError as error:
            here = self.text[start : start + 80]
            raise ArchError(
                f"{error} (at character {start + 1}: {here}{'…' * (len(self.text) > start + 80)})"
            ) from None
