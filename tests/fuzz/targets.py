"""What is fuzzed: a reader each, with texts to begin from. Anything but its own errors is a defect.

A target gets bytes, and returns whether they were accepted. A new reader is one function here.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

import optuna
import torch
from safetensors.torch import save

from nas import cli, state_dicts
from nas.errors import UserError
from nas.latency import table
from nas.recipe import QUICK
from nas.session import _recipe_file
from nas.store import META, Stored
from search_spaces.arch import Arch
from search_spaces.budget import Budget
from search_spaces.cost import cost
from search_spaces.errors import LanguageError
from search_spaces.spaces import _from_file, find, names

Read = Callable[[bytes], bool]


@dataclass(frozen=True)
class Target:
    """A reader, and what it accepts. `runs`: what it reads is a program, and not fuzzed for long."""

    name: str
    read: Read
    seeds: tuple[bytes, ...]
    runs: bool = False


TARGETS: dict[str, Target] = {}


def target(*seeds: bytes, runs: bool = False) -> Callable[[Read], Read]:
    """Register a reader by its name."""

    def add(read: Read) -> Read:
        TARGETS[read.__name__] = Target(read.__name__, read, seeds, runs)
        return read

    return add


def accepted(read: Callable[[], object], *errors: type[Exception]) -> bool:
    """Whether it reads, or refuses in a sentence; anything else is raised."""
    try:
        read()
    except (UserError, LanguageError, *errors) as error:
        if not str(error).strip():
            raise AssertionError("an error says something") from error
        return False
    return True


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _archs() -> tuple[bytes, ...]:
    return tuple(str(find(name).sample(Random(7))).encode() for name in names())


@target(*_archs(), b"r224 eps=0.001 | conv_stem(width=32) | fire(squeeze=0.125) c64 n2 s2 + aux_head | pool_head")
def architecture(data: bytes) -> bool:
    """Text is read, printed to the same text, and counted or refused."""

    def read() -> None:
        arch = Arch.parse(_text(data))
        assert Arch.parse(str(arch)) == arch
        cost(arch)

    return accepted(read)


@target(b"300MFLOPs, 5Mparams and 16MB", b"8ms@cpu", b"512KB@int8", "≤ 1.5e3 mult-adds".encode())
def budget(data: bytes) -> bool:
    """A budget is spelled as it was read, and read as it is spelled."""

    def read() -> None:
        found = Budget.parse(_text(data))
        assert Budget.parse(str(found)) == found

    return accepted(read)


@target(b"1h30m", b"90s", b"128-224", b"mobile", b"8", b"naswot:4x", b"tpe", b"fashion-subset")
def argument(data: bytes) -> bool:
    """Values of the command line, each as every kind of argument."""
    from nas import data as datasets
    from nas import samplers
    from nas.prefilter import Rule

    text = _text(data)
    readers: tuple[Callable[[str], object], ...] = (
        cli.duration, cli.positive, cli._budget, lambda said: cli.chosen_space("mobile", said), samplers.find,
        Rule.parse, table.path_of,
    )  # fmt: skip
    kept = [accepted(lambda r=reader: r(text), argparse.ArgumentTypeError) for reader in readers]  # type: ignore[misc]
    if text not in datasets.known_names() and not os.path.exists(datasets._path(text)):
        kept.append(accepted(lambda: datasets.load(text)))
    return any(kept)


@target(json.dumps(QUICK.to_json()).encode(), b'{"steps": 3, "rungs": 2, "rung_resolutions": [16]}')
def recipe(data: bytes) -> bool:
    """A recipe's file; what is accepted can be asked for its steps and sizes."""

    def read() -> None:
        found = _recipe_file(_file(data, ".json"))
        found.rung_steps(1000)
        for rung in range(min(found.rungs, 9)):
            found.pixels(224, rung)

    return accepted(read)


TABLE = table.Table(table.Setting(), {"processor": "one"}, "2026-01-01", {"a": 1.0}, (table.Whole("r8", 3, 10, 1.0),))


@target(json.dumps(TABLE.to_json()).encode())
def latency_table(data: bytes) -> bool:
    """A latency table's file; what is accepted can be told, and predicts or refuses."""
    from nas.latency.predictor import Predictor

    def read() -> None:
        found = table.read(str(_file(data, ".json")))
        assert str(found)
        Predictor(found)(_cheap(), 3, 1000)

    return accepted(read)


@lru_cache(maxsize=1)
def _cheap() -> Arch:
    return Arch.parse("r32 | conv_stem(width=8) | fire c16 | pool_head")


def _study() -> dict[str, Any]:
    meta = {"recipe": {}, "in_channels": 3, "num_classes": 10, "data_classes": 10, "folder": "nowhere", "space": "x"}
    meta |= {"budget": "300MFLOPs", "data": "fashion-subset", "classes": ["a", "b"], "schema": 1, "seed": 0}
    point = {"samples": 10, "loss": 1.0, "accuracy": 0.5, "seconds": 1.0}
    attrs = {"arch": str(_cheap()), "curve": [point], "pixels": 32, "seed": 3, "timings": {"training": 1.0}}
    attrs |= {"proposals": {"proposed": 1}, "reason": "", "worker": {"host": "h", "pid": 5, "started": "1"}}
    late = {"retry_of": 0, "rungs": [point], "before_s": 1.0, "latency_ms": 2.0, "promotes": 0}
    return {"meta": meta, "values": [0.5, 1e6], "first": attrs, "second": attrs | late}


@target(json.dumps(_study()).encode())
def study(data: bytes) -> bool:
    """A stranger's study: candidates, front, table and what the dashboard makes of its rows."""
    from dashboard.studies import Study

    try:
        said = json.loads(data)
        trials = [
            optuna.trial.create_trial(
                values=said["values"] if i else None, user_attrs=dict(said[name]),
                state=optuna.trial.TrialState.COMPLETE if i else optuna.trial.TrialState.FAIL,
            )
            for i, name in enumerate(("first", "second"))
        ]  # fmt: skip
        made = optuna.create_study(directions=["maximize", "minimize"])
        made.add_trials(trials)
    except (ValueError, KeyError, TypeError, RecursionError, AttributeError, OverflowError):
        return False  # no study at all, says Optuna
    made.set_user_attr(META, said.get("meta"))

    def read() -> None:
        stored = Stored(made, "memory")
        stored.candidates(), stored.frame(), stored.longer(), stored.folder, stored.budget
        if stored.complete():
            stored.best()
        page = Study("key", stored).refresh()
        page.columns("flops"), page.about, page.limits, page.version, page.space(), page.rungs

    return accepted(read)


@lru_cache(maxsize=2)
def _pth() -> bytes:
    with tempfile.NamedTemporaryFile(suffix=".pth") as file:
        torch.save({"a": torch.zeros(2), "b": torch.ones(1, 2)}, file.name)
        return Path(file.name).read_bytes()


@target(save({"a": torch.zeros(2), "b": torch.ones(1, 2)}))
def safetensors(data: bytes) -> bool:
    """Weights as safetensors."""
    return accepted(lambda: state_dicts.read(_file(data, ".safetensors")))


@target(_pth())
def pickled_weights(data: bytes) -> bool:
    """Weights as torch.save writes them, of which tensors alone are read."""
    return accepted(lambda: state_dicts.read(_file(data, ".pth")))


@target(
    b"from search_spaces import Arch, OneOf, Stage\n"
    b"from search_spaces.blocks.conv_stem import ConvStem\nfrom search_spaces.blocks.fire import Fire\n"
    b"from search_spaces.blocks.pool_head import PoolHead\nfrom search_spaces.space import Space\n"
    b"SPACE = Space('x', Arch(32, ConvStem(width=OneOf(8, 16)), (Stage(Fire(), width=16),), PoolHead()))\n",
    runs=True,
)
def space_file(data: bytes) -> bool:
    """A user's space file, which is a program: its mistakes are told in a sentence."""
    return accepted(lambda: _from_file(_file(data, ".py"), "SPACE"))


OPENED = {"version": {"toy": "any"}, "picked": {"study": "toy", "trial": 3}, "front-metric": "flops"}
"""What a page holds when it opens, by id."""


@lru_cache(maxsize=1)
def _client() -> tuple[Any, tuple[bytes, ...]]:
    """A dashboard on a small study, and what its pages post."""
    from dashboard.app import create
    from dashboard.studies import Studies
    from tests.dashboard.asking import Client
    from tests.dashboard.studying import make

    folder = Path(tempfile.mkdtemp(prefix="nas-fuzz-"))
    make(folder, 12)
    studies = Studies([f"sqlite:///{folder / 'nas.db'}"])
    studies.get(["toy"])
    client = Client(create(studies, folder / "exports"))
    bodies = []
    for callback in client.callbacks:
        if callback.get("clientside_function"):
            continue  # a browser's own
        given = {"inputs": client._filled(callback["inputs"], {}), "state": client._filled(callback["state"], {})}
        for one in (*given["inputs"], *given["state"]):
            if isinstance(one, dict):
                one["value"] = OPENED.get(one["id"])
        out = callback["output"]
        body = {"output": out, "outputs": client._outputs(out), **given, "changedPropIds": []}
        bodies.append(json.dumps(body).encode())
    return client.http, tuple(bodies)


def dashboard_bodies() -> tuple[bytes, ...]:
    """Requests as the pages make them; making them takes a moment."""
    return _client()[1]


@target()
def dashboard(data: bytes) -> bool:
    """A request to the dashboard: answered, or refused without a word of the program's inside."""
    from tests.dashboard.asking import HEADERS

    answer = _client()[0].post("/_dash-update-component", data=data, headers=HEADERS, content_type="application/json")
    assert answer.status_code in (200, 204, 400, 404, 415, 500), answer.status_code
    assert "Traceback" not in answer.text
    assert 'File "' not in answer.text or answer.status_code == 200
    return bool(answer.status_code < 400)


def _file(data: bytes, suffix: str) -> Path:
    path = Path(tempfile.gettempdir()) / f"nas-fuzz-{_own()}{suffix}"
    path.write_bytes(data)
    return path


@lru_cache(maxsize=1)
def _own() -> str:
    return next(tempfile._get_candidate_names())  # type: ignore[attr-defined]
