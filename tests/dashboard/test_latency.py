"""The page of latencies: nothing where no table lies, else the figure, its table and both ends drawn."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas.latency.setting import Setting, keys
from nas.latency.table import TABLES, Table, Whole, write
from search_spaces.arch import Arch
from tests.dashboard.asking import Client

ARCHS = (
    "r32 | conv_stem(width=8) | inverted_residual c8 n2 | inverted_residual c16 s2 | pool_head",
    "r32 | conv_stem(width=8) | bottleneck c16 n3 s2 | pool_head",
)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Table:
    """A made-up table, where a dashboard that runs in the test's folder finds it."""
    monkeypatch.chdir(tmp_path)
    parts = {key: 0.25 for text in ARCHS for key in keys(Arch.parse(text), 3, 10)}
    networks = tuple(Whole(text, 3, 10, ms) for text, ms in zip(ARCHS, (40.0, 1.0), strict=True))
    machine = {"processor": "a chip", "backend": "none", "python": "3"}
    found = Table(Setting(), machine, "2026-01-01", parts, networks, spaces=("toy",))
    write(found, TABLES / "here.json")
    return found


def shown(client: Client, name: Any) -> str:
    return json.dumps(client("latency-shown.children", latency_table=name), ensure_ascii=False)


def test_a_table_is_drawn_with_both_its_ends(client: Client, table: Table) -> None:
    laid_out = json.dumps(client("content.children", ready="/latency")["content"])
    assert '"value": "here"' in laid_out
    said = shown(client, "here")
    for part in ("a chip", "inverted residual", "bottleneck", "whole networks", *ARCHS):
        assert part in said
    assert said.index("in 40 ms") < said.index("in 1 ms")
    assert said.index("Most time for its FLOPs") < said.index("Least time for its FLOPs")


def test_tables_that_cannot_be_shown_say_why(client: Client, table: Table) -> None:
    (TABLES / "broken.json").write_text("{}", encoding="utf-8")
    assert "a latency table is a JSON file" in shown(client, "broken")
    write(replace(table, networks=()), TABLES / "parts.json")
    assert "bottleneck" in shown(client, "parts")
    for name in ("../here", str((TABLES / "here.json").resolve()), None):
        assert "Choose a table" in shown(client, name)


def test_without_a_table_the_page_tells_how_to_make_one(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "python -m nas.latency --space mobile --build cpu" in json.dumps(
        client("content.children", ready="/latency")
    )
