"""Bad input of every kind: never a traceback, never a hang, nothing of it run. Readers are in tests/fuzz/targets.py."""

from __future__ import annotations

import json
import pickle
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, Target, dashboard_bodies

EXAMPLES = {"dashboard": 150, "pickled_weights": 40, "safetensors": 60, "study": 150, "space_file": 30}
PATIENCE_S = 10.0  # of one reading; machines may be busy
ODD = [
    b"\0",
    b"\xff",
    b"\xf0\x9f\x98\x80",
    b"9" * 30,
    b"1e999",
    b"NaN",
    b"null",
    b"true",
    b"[",
    b"{",
    b'"',
    b"-1",
    b"()",
]
WORTHLESS: list[Any] = [
    None,
    True,
    -1,
    0,
    1e308,
    10**30,
    "",
    "x",
    "²",
    "9" * 5000,
    [],
    {},
    [[]],
    [None],
    {"a": 1},
    {"study": "toy", "trial": 10**9},
]


def readings(name: str) -> list[bytes]:
    return list(TARGETS[name].seeds or dashboard_bodies())


@st.composite
def mutated(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A text that was right, with some parts cut out, doubled, or replaced by odd ones."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 4))):
        begin = draw(st.integers(0, len(data)))
        end = draw(st.integers(begin, min(len(data), begin + 40)))
        put = draw(st.one_of(st.sampled_from(ODD), st.binary(max_size=8), st.just(data[begin:end] * 2), st.just(b"")))
        data = data[:begin] + put + data[end:]
    return data


@st.composite
def changed(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """JSON that was right, with some values replaced by others, or gone."""
    body = json.loads(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        at = body
        while isinstance(at, (dict, list)) and at:
            keys = sorted(at) if isinstance(at, dict) else range(len(at))
            key: Any = draw(st.sampled_from(list(keys)))
            if not isinstance(at[key], (dict, list)) or not at[key] or draw(st.integers(0, 3)) == 0:
                at[key] = deepcopy(draw(st.sampled_from(WORTHLESS)))  # later changes go into it
                break
            at = at[key]
    return json.dumps(body).encode()


def is_json(name: str) -> bool:
    return readings(name)[0][:1] == b"{"


def read(target: Target, data: bytes) -> bool:
    """Read it, quickly."""
    begin = time.process_time()
    accepted = target.read(data)
    assert time.process_time() - begin < PATIENCE_S
    return accepted


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_right_is_accepted(name: str) -> None:
    for seed in readings(name):
        assert read(TARGETS[name], seed), seed


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_wrong_is_refused_in_a_sentence(name: str) -> None:
    seeds = readings(name)
    inputs = mutated(seeds) if not is_json(name) else st.one_of(changed(seeds), changed(seeds), mutated(seeds))

    @settings(max_examples=EXAMPLES.get(name, 200), database=None, suppress_health_check=list(HealthCheck))
    @given(inputs)
    def feed(data: bytes) -> None:
        read(TARGETS[name], data)

    feed()


CHANGES: list[dict[str, Any]] = [
    {"machine": {}},
    {"spaces": 5},
    {"constant_ms": float("inf")},
    {"setting": {"threads": {"a": 1}}},
]


def changed_table(**change: Any) -> bytes:
    return json.dumps(json.loads(readings("latency_table")[0]) | change).encode()


FOUND: list[tuple[str, bytes]] = [
    ("recipe", b'{"seed": "x"}'),
    ("recipe", b'{"evaluations": 2.5}'),
    ("recipe", b'{"epochs": Infinity}'),
    ("recipe", b'{"data": 5}'),
    ("recipe", b"[" * 100_000),
    ("latency_table", b"[" * 100_000),
    ("argument", b"~;FJJJJ"),
    ("argument", b"~\0/images"),
    ("argument", b"(" * 300),
    ("argument", b"a/" + b"b" * 300),
    *(("latency_table", changed_table(**change)) for change in CHANGES),
]
"""What was found once."""


@pytest.mark.parametrize(("name", "data"), FOUND)
def test_what_was_found_once_is_refused(name: str, data: bytes) -> None:
    assert not read(TARGETS[name], data)


# ---------------------------------------------------------------------------------- nothing is run


class Runs:
    """What runs where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_weights_of_a_stranger_run_nothing(tmp_path: Path) -> None:
    import torch

    plain, zipped = tmp_path / "plain.pth", tmp_path / "zipped.pth"
    plain.write_bytes(pickle.dumps({"a": Runs(tmp_path / "ran")}))
    torch.save({"a": Runs(tmp_path / "ran")}, zipped)
    for path in (plain, zipped):
        assert not TARGETS["pickled_weights"].read(path.read_bytes())
    assert not (tmp_path / "ran").exists()
    pickle.loads(plain.read_bytes())
    assert (tmp_path / "ran").exists(), "it would have"


def test_a_study_of_a_stranger_runs_no_space_file(tmp_path: Path) -> None:
    from nas.believed import of_study
    from nas.progress import Limits
    from nas.store import META, Stored, open_study
    from tests.nas.searching import search

    run = search(tmp_path, "random")
    run.run(Limits(trials=9))
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    run.study.set_user_attr(META, run.stored.meta | {"space": f"{tmp_path / 'evil.py'}:SPACE"})
    stored: Stored = open_study(run.stored.storage)
    assert set(of_study(stored)) == {c.number for c in stored.complete()}
    assert not (tmp_path / "ran").exists()
