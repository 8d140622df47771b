"""Which networks can be chosen from a menu, and the one that a text names."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.metrics import percent
from dashboard.site import Site
from dashboard.studies import Study
from nas.words import short
from search_spaces import Arch, LanguageError, zoo

EXAMPLE = (
    "r224 | conv_stem(width=32) | inverted_residual(expand=1) c16 | inverted_residual c24 n2 s2 | pool_head(width=1280)"
)
LONGEST = 20_000  # characters of a typed text


def offered(studies: Sequence[Study]) -> list[dict[str, str]]:
    """The networks of a menu: of each study the best and its front, the most accurate first, then the papers'."""
    papers = [{"value": f"zoo/{name}", "label": name} for name in zoo.names()]
    return [option for study in studies for option in _front(study, several=len(studies) > 1)] + papers


def _front(study: Study, several: bool) -> list[dict[str, str]]:
    columns = study.columns("flops")
    of = f" of {study.name}" if several else ""
    first = [study.best] if study.best else []
    others = [row for i in reversed(columns.front) if (row := columns.rows[i]) not in first]
    return [
        {
            "value": f"{study.key}/{row.number}",
            "label": f"trial {row.number}{of} · {percent(row.accuracy)} · {short(row.cost.flops)}",
        }
        for row in (*first, *others)
    ]


def gathered(site: Site, names: Sequence[str], text: str | None) -> tuple[dict[str, Arch], str]:
    """The networks by name, and what is wrong with the typed one."""
    found = {label: arch for name in names for label, arch in _known(site, name)}
    typed = (text or "").strip()
    if not typed:
        return found, ""
    try:
        if len(typed) > LONGEST:
            return found, f"a network's text may have {LONGEST:,} characters, but got {len(typed):,}"
        arch = Arch.parse(" ".join(typed.split()))
        arch.check()
    except LanguageError as error:
        return found, str(error)
    return {**found, "typed": arch}, ""


def _known(site: Site, name: str) -> list[tuple[str, Arch]]:
    key, _, rest = name.rpartition("/")
    if key == "zoo" and rest in zoo.names():
        return [(rest, zoo.find(rest).arch)]
    row = site.row({"study": key, "trial": int(rest)}) if rest.isdecimal() and len(rest) < 10 else None
    return [(f"{key} trial {row.number}", row.arch)] if row else []
