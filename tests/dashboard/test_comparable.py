"""What matters is read over several studies only where their accuracies are of the same training."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import optuna
import pytest

from dashboard.app import create
from dashboard.studies import Studies
from nas.store import create_study
from tests.dashboard.asking import Client
from tests.dashboard.studying import grow, make, meta
from tests.dashboard.test_callbacks import said

RECIPE = {"steps": 200, "resolution": 32, "epochs": 0}


def shown(folder: Path, **changes: Any) -> dict[str, Any]:
    """What the page answers for `toy` and another study that differs from it by `changes`."""
    make(folder, 20)
    url = f"sqlite:///{folder / 'nas.db'}"
    other = create_study(url, "other", meta(folder / "other", **changes), optuna.samplers.RandomSampler(0))
    grow(other, range(20), Random(4))
    studies = Studies([url])
    studies.get(["toy", "other"])
    client = Client(create(studies, folder))
    return client("trials-lines.figure", version={"toy": "any", "other": "any"})


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"data_fingerprint": "x"}, "data"),
        ({"data": "cifar10"}, "data"),
        ({"recipe": RECIPE | {"steps": 400}}, "recipe"),
        ({"evaluator": "supernet"}, "evaluator"),
        ({"space": "mixed"}, "space"),
        ({"num_classes": 10}, "deployment"),
    ],
)
def test_studies_of_unlike_trainings_are_not_pooled(tmp_path: Path, changes: dict[str, Any], word: str) -> None:
    answer = shown(tmp_path, **changes)
    assert not answer["trials-matters"]["figure"]["data"][0]["x"]
    told = said(answer["trials-matters-about"])
    assert f"differ in {word}" in told
    assert "choose one" in told


@pytest.mark.parametrize("changes", [{}, {"seed": 7, "recipe": RECIPE | {"seed": 7}}, {"evaluator": "short"}])
def test_studies_of_one_training_are_pooled_and_it_is_said(tmp_path: Path, changes: dict[str, Any]) -> None:
    answer = shown(tmp_path, **changes)
    assert answer["trials-matters"]["figure"]["data"][0]["x"]
    assert "38 trained networks of other and toy" in said(answer["trials-matters-about"])
