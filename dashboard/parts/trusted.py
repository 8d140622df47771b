"""How far short training can be trusted: what became of the networks that were trained longer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import html

from dashboard.metrics import percent
from dashboard.parts import best, pick, table
from dashboard.studies import Study
from nas.trust import Pair

HEADS = ["Network", "Short training", "Longer training"]


def sentence(study: Study) -> str:
    """How alike both rankings are (`nas.trust`); nothing where no network was trained longer."""
    said = str(study.trust or "")
    return said[:1].upper() + said[1:]


def ranked(study: Study) -> list[Pair]:
    """The networks that were trained longer, the best by that first."""
    return sorted(study.longer.values(), key=lambda pair: (-pair.long, pair.number))


def shown(studies: Sequence[Study]) -> list[Any]:
    """Of each study that trained some longer: the verdict, and the accuracies behind it."""
    told = [study for study in studies if study.trust]
    return [part for study in told for part in _one(study, several=len(studies) > 1)]


def _one(study: Study, several: bool) -> list[Any]:
    rows = [
        [[pick(study.key, pair.number, f"Trial {pair.number}", f"Open trial {pair.number} of {study.name}"),
          best(study, pair.number)], percent(pair.short), percent(pair.long)]
        for pair in ranked(study)
    ]  # fmt: skip
    return [
        html.H3(study.name) if several else None,
        html.P(f"{sentence(study)}.", className="quiet told"),
        table(HEADS, rows, f"Networks of {study.name} that were trained longer", numbers=1),
    ]
