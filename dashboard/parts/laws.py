"""What `nas.scale --measure` found: accuracy of a network grown in each direction, with its laws."""

from __future__ import annotations

import time
from threading import Lock
from typing import Any

import numpy as np
from dash import html

from dashboard.metrics import percent
from dashboard.parts import table
from dashboard.site import Site
from dashboard.studies import Study
from nas.figures import trade_offs
from nas.figures.trade_offs import Line, TradeOffs
from search_spaces import Arch

PAUSE_S = 60.0  # laws of a study that is still being measured are fitted at most this often


def studies_measured(site: Site) -> dict[str, str]:
    """The networks whose scaling was measured, by `study key` and number of the base: whatever is chosen above."""
    found = {}
    for key, study in site.studies.look().items():
        if study.meta.get("space") == "scale":
            site.studies.get([key])
            for i, _ in enumerate(_bases(study)):
                found[f"{key}/{i}"] = study.name + (f", network {i + 1}" if i else "")
    return found


def _bases(study: Study) -> list[str]:
    """The texts of the networks that were grown in a study, in the order of their first trial."""
    return list(dict.fromkeys(str(c.attrs["base"]) for c in study.stored.candidates() if c.attrs.get("base")))


_LAWS: dict[str, tuple[str, float, tuple[TradeOffs, list[dict[str, Any]]]]] = {}
"""By study and network: of which trials, when, and what. Fitting with intervals takes seconds."""
_FITTING = Lock()


def laws(site: Site, key: str | None) -> tuple[TradeOffs, list[dict[str, Any]]] | None:
    """The measured curves and what their laws say at twice the cost."""
    name, _, place = (key or "").rpartition("/")
    found = site.studies.get([name]) if place.isdecimal() else []
    bases = _bases(found[0]) if found else []
    if not found or int(place) >= len(bases):
        return None
    study, mark = found[0], f"{found[0].born}-{len(found[0].rows)}"
    with _FITTING:
        kept = _LAWS.get(str(key))
        if kept and (kept[0] == mark or (kept[0].startswith(study.born) and time.monotonic() - kept[1] < PAUSE_S)):
            return kept[2]
        traced = trade_offs.data(study.stored, Arch.parse(bases[int(place)]))
        judged = (_at_twice(line, traced.base_millions) for line in traced.lines)
        made = traced, sorted((row for row in judged if row), key=lambda row: -row["accuracy"])
        _LAWS[str(key)] = (mark, time.monotonic(), made)
    return made


def _at_twice(line: Line, base_millions: float) -> dict[str, Any] | None:
    """The law and its interval at twice the base's FLOPs, where it was measured that far."""
    at = 2 * base_millions
    if not line.grid or not line.grid[0] <= at <= line.grid[-1]:
        return None
    values = {"accuracy": line.law, "low": line.low, "high": line.high}
    return {"axis": line.axis, **{k: float(np.interp(np.log(at), np.log(line.grid), v)) for k, v in values.items()}}


def judgement(rows: list[dict[str, Any]]) -> Any:
    """What each direction's law says at twice the cost, the best first, and whether they can be told apart."""
    if not rows:
        return html.P("Laws need three costs in a direction, on both sides of twice the network's FLOPs.",
                      className="quiet")  # fmt: skip
    body = [
        [r["axis"].capitalize(), percent(r["accuracy"]), f"{percent(r['low'])} to {percent(r['high'])}"] for r in rows
    ]
    best, rest = rows[0], rows[1:]
    apart = all(r["high"] < best["low"] for r in rest)
    said = (
        "No other interval reaches the first one." if apart else "The intervals overlap: these do not tell them apart."
    )
    heads = ["At twice the FLOPs", "Accuracy by its law", "95 % interval"]
    return [table(heads, body, "Accuracy of each direction at twice the FLOPs", numbers=1),
            html.P(said if rest else "", className="quiet small")]  # fmt: skip


def spoken(rows: list[dict[str, Any]]) -> str:
    """The same in one sentence."""
    return "At twice the FLOPs: " + ", ".join(f"{r['axis']} {percent(r['accuracy'])}" for r in rows) if rows else ""
