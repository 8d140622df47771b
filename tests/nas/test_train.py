"""Final training: what is kept of its seeds, that test images choose nothing, and that no finished seed is lost."""

from __future__ import annotations

from pathlib import Path
from statistics import stdev
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from nas.errors import UserError
from nas.evaluate import Evaluation
from nas.progress import Limits
from nas.recipe import Recipe
from nas.store import Stored
from nas.train import train_and_test
from nas.training import Failed
from search_spaces.arch import Arch
from tests.nas.searching import Oracle, search

VALIDATION, TEST = {0: 0.5, 1: 0.9, 2: 0.7}, {0: 0.8, 1: 0.6, 2: 0.4}


class Final(Oracle):
    """Training whose accuracies follow from the seed, as the weights do; `broken` seeds diverge."""

    def __init__(self, broken: int | None = None, recipe: Recipe = Recipe()) -> None:  # noqa: B008 - frozen
        super().__init__()
        self.recipe, self.broken, self.trained, self.tested = recipe, broken, list[int | None](), list[float]()

    def evaluate(self, arch: Arch, seed: int | None = None, on_point: object = None) -> Evaluation:
        if seed == self.broken:
            raise Failed("diverged", "loss nan within 64 samples")
        assert seed is not None
        self.trained.append(seed)
        found = super().evaluate(arch, seed)
        weights = {"head.classifier.bias": torch.full((10,), float(seed))}
        return Evaluation(VALIDATION[seed], found.trained, 32, {"training": 2.0, "validation": 1.0}, weights)

    def test(self, arch: Arch, evaluation: Evaluation) -> float:
        self.tested.append(evaluation.accuracy)
        return TEST[int(evaluation.weights["head.classifier.bias"][0])]


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    run = search(tmp_path, "random")
    run.run(Limits(trials=1))
    return run.stored


def trained(stored: Stored, evaluator: Final, seeds: int) -> dict[str, Any]:
    return train_and_test(stored, stored.best(), evaluator, range(seeds))  # type: ignore[arg-type]


def kept(report: dict[str, Any]) -> float:
    return float(load_file(report["weights"])["head.classifier.bias"][0])


def test_validation_chooses_and_each_seed_is_tested_once(stored: Stored) -> None:
    evaluator = Final()
    report = trained(stored, evaluator, 3)
    assert evaluator.tested == [VALIDATION[seed] for seed in (0, 1, 2)]
    assert (report["kept_seed"], kept(report), report["kept_test_accuracy"]) == (1, 1.0, 0.6)
    assert report["test_accuracies"] == [0.8, 0.6, 0.4]
    assert report["test_accuracy"] == pytest.approx(0.6)
    assert report["test_std"] == pytest.approx(stdev([0.8, 0.6, 0.4]))
    assert report["accuracy"] == pytest.approx(0.7)
    assert report["seconds"] == 9.0
    assert report == stored.best().trained


def test_a_seed_that_fails_loses_none_before_it(stored: Stored) -> None:
    said = r"with seed 2 this one diverged \(loss nan within 64 samples\): try a smaller --lr"
    with pytest.raises(UserError, match=said):
        trained(stored, Final(broken=2), 3)
    report = stored.best().trained
    assert report is not None
    assert (report["seeds"], report["kept_seed"], kept(report)) == ([0, 1], 1, 1.0)

    evaluator = Final()
    assert trained(stored, evaluator, 3)["test_accuracies"] == [0.8, 0.6, 0.4]
    assert evaluator.trained == [2]
    assert len([*Path(report["weights"]).parent.iterdir()]) == 1


def test_only_runs_of_one_recipe_stand_in_one_report(stored: Stored) -> None:
    trained(stored, Final(), 2)
    again = Final(recipe=Recipe(seed=5, precision="bf16"))
    assert trained(stored, again, 2)["seeds"] == [0, 1]
    assert again.trained == []
    other = Final(recipe=Recipe(lr=0.05))
    report = trained(stored, other, 1)
    assert (other.trained, report["seeds"], kept(report)) == ([0], [0], 0.0)


def test_weights_that_are_gone_are_trained_anew(stored: Stored) -> None:
    Path(trained(stored, Final(), 1)["weights"]).unlink()
    evaluator = Final()
    assert Path(trained(stored, evaluator, 1)["weights"]).is_file()
    assert evaluator.trained == [0]


def test_a_report_without_what_a_run_needs_is_trained_anew(stored: Stored) -> None:
    run = {"seed": 0, "accuracy": 0.5, "test_accuracy": 0.5, "seconds": 1.0}
    stored.note_training(stored.best().arch, {"test_accuracy": 0.5, "runs": [run]})
    evaluator = Final()
    trained(stored, evaluator, 1)
    assert evaluator.trained == [0]


def test_no_file_of_a_strangers_choice_is_deleted(stored: Stored, tmp_path: Path) -> None:
    report = trained(stored, Final(), 1)
    (mine := tmp_path / "mine.safetensors").write_bytes(Path(report["weights"]).read_bytes())
    stored.note_training(stored.best().arch, report | {"weights": str(mine)})
    assert kept(trained(stored, Final(), 2)) == 1.0
    assert mine.is_file()


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("trained:r32", {"weights": "w"}, "a training must say its test_accuracy"),
        ("trained:r32", {"test_accuracy": "high"}, "test_accuracy of a training must be a number"),
        ("trained:r32", {"test_accuracy": 0.5, "runs": [{"seed": 0}]}, "runs of seed, accuracies and seconds"),
        (
            "longer:0:640",
            {"number": 0, "long": 0.5},
            "longer of a study must be a trial's number, its accuracy",
        ),
        ("limits", "soon", "limits of a study must be trials and times"),
        ("limits", {"until": "soon"}, "limits of a study must be trials and times"),
    ],
)
def test_what_a_stranger_says_of_trainings_is_checked(stored: Stored, key: str, value: Any, said: str) -> None:
    stored.study.set_user_attr(key, value)
    with pytest.raises(UserError, match=said):
        Stored(stored.study, stored.storage)
