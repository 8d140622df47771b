"""Studies of strangers: what is wrong in one is told in a sentence, and no page breaks by it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from dashboard import studies as module
from dashboard.app import create
from dashboard.studies import Studies
from nas.store import Stored
from tests.dashboard.asking import Client
from tests.dashboard.studying import make, running
from tests.dashboard.test_callbacks import said

ASKED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("front-figure.figure", {"front_metric": "flops", "front_backdrop": []}),
    ("front-about.children", {"front_metric": "latency_ms"}),
    ("front-trust.children", {}),
    ("detail.children", {"picked": {"study": "bad", "trial": 3}}),
    ("trials-grid.rowData", {}),
    ("trials-lines.figure", {}),
    ("trials-csv.data", {"trials_save": 1}),
    ("networks-chosen.options", {}),
    ("networks-shown.children", {"networks_chosen": ["bad/3"]}),
    ("scaling-study.options", {}),
    ("scaling-measured.figure", {"scaling_study": "bad/0"}),
    ("scaling-costs.children", {"scaling_network": "bad/3", "scaling_at": [1, 1, 1]}),
    ("space-about.children", {}),
    ("space-part.options", {}),
    ("live-facts.children", {}),
    ("live-running.children", {"tick": 1}),
    ("live-rungs.figure", {}),
    ("live-curves.figure", {}),
    ("picked.data", {}),
)
EXPORT = '{"format":"python_module","type":"export"}.n_clicks'


def noted(name: str, value: Any) -> Callable[[Stored], None]:
    return lambda stored: stored.study.set_user_attr(name, value)


def about(**changes: Any) -> Callable[[Stored], None]:
    """What the study says of itself."""
    return lambda stored: stored.study.set_user_attr("nas", {**stored.study.user_attrs["nas"], **changes})


def trained(value: Any) -> Callable[[Stored], None]:
    return lambda stored: stored.study.set_user_attr(f"trained:{stored.candidates()[3].arch}", value)


def trial(name: str, value: Any) -> Callable[[Stored], None]:
    def change(stored: Stored) -> None:
        storage: Any = stored.study._storage
        storage.set_trial_user_attr(storage.create_new_trial(stored.study._study_id), name, value)

    return change


LONGER = {"number": 3, "long": 0.8, "samples": 9, "seconds": 1.0}


def best_of_none(stored: Stored) -> None:
    stored.note_longer(LONGER | {"number": stored.front()[-1].number})
    stored.note_longer(LONGER | {"number": 99, "long": 0.99})


NOTES = {
    "a training of nothing": trained({}),
    "a training of text": trained("x"),
    "limits of text": noted("limits", "soon"),
    "limits of texts": noted("limits", {"trials": "x", "until": "y"}),
    "longer of nothing": noted("longer:1:2", {}),
    "a best that is no trial": best_of_none,
    "longer of half a trial": noted("longer:1:2", LONGER | {"number": 2.5}),
    "longer of no number": noted("longer:1:2", LONGER | {"long": float("nan")}),
    "a latency of nothing": trial("latency_ms", 0),
    "a curve of text": trial("curve", "x"),
}
META = {
    "rungs without end": about(recipe={"steps": 200, "resolution": 32, "epochs": 0, "rungs": 10**8}),
    "channels of text": about(in_channels="x"),
}
HARMLESS = {
    "no recipe": about(recipe={}),
    "longer of no trial": noted("longer:1:2", LONGER | {"number": 99}),
    "a resolution without end": about(resolution="1000000000"),
    "a resolution of words": about(resolution="much"),
    "a budget of words": about(budget="garbage"),
    "another space": about(space="scale"),
    "a space that is a path": about(space="../../etc/passwd"),
}


def opened(folder: Path) -> tuple[Client, Studies]:
    studies = Studies([f"sqlite:///{folder / 'nas.db'}"])
    studies.get(list(studies.look()))
    return Client(create(studies, folder / "exports")), studies


def ask_everything(client: Client) -> None:
    """Every callback with the study; `Client` insists that each answers."""
    for output, values in ASKED:
        client(output, version={"bad": "any", "toy": "any"}, **values)
    one = {"id": {"format": "python_module", "type": "export"}, "property": "n_clicks", "value": 1}
    client("export-said.children", EXPORT, each=[one], picked={"study": "bad", "trial": 3})


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    make(tmp_path, 13)
    stored = make(tmp_path, 13, "bad")
    running(stored, Random(1))
    return stored


@pytest.mark.parametrize("change", [*NOTES.values(), *META.values()], ids=[*NOTES, *META])
def test_a_study_that_says_nonsense_is_told_and_others_are_shown(
    stored: Stored, tmp_path: Path, change: Callable[[Stored], None]
) -> None:
    change(stored)
    client, studies = opened(tmp_path)
    ask_everything(client)
    answer = client("chosen.options", "tick.n_intervals", tick=1, chosen__value=["bad", "toy"])
    assert "bad cannot be shown: " in said(answer["problems"])
    assert list(answer["version"]["data"]) == ["toy"]
    assert [study.key for study in studies.get(["bad", "toy"])] == ["toy"]


@pytest.mark.parametrize("fresh_s", [0.0, 1e9])
@pytest.mark.parametrize("change", NOTES.values(), ids=NOTES)
def test_a_study_that_turns_bad_while_it_is_shown_breaks_nothing(
    stored: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Stored], None], fresh_s: float
) -> None:
    """Read anew by each callback, or changed just after it was read."""
    client, studies = opened(tmp_path)
    assert [study.key for study in studies.get(["bad"])] == ["bad"]
    monkeypatch.setattr(module, "FRESH_S", fresh_s)
    change(stored)
    ask_everything(client)
    monkeypatch.setattr(module, "FRESH_S", 0.0)
    answer = client("chosen.options", "tick.n_intervals", tick=1, chosen__value=["bad", "toy"])
    assert "bad cannot be shown: " in said(answer["problems"])


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_what_only_a_page_cannot_show_leaves_the_others(
    stored: Stored, tmp_path: Path, change: Callable[[Stored], None]
) -> None:
    change(stored)
    client, studies = opened(tmp_path)
    ask_everything(client)
    assert studies.problems == {}


def test_a_study_that_is_mended_is_shown_again(stored: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.0)
    stored.study.set_user_attr("limits", "soon")
    _, studies = opened(tmp_path)
    assert list(studies.problems) == ["bad"]
    stored.study.set_user_attr("limits", {})
    assert [study.key for study in studies.get(["bad"])] == ["bad"]
    assert studies.problems == {}
