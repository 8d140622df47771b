"""A supernet learns, is resumed to the same weights, and survives a kill."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nas.errors import UserError
from nas.supernet.network import Supernet
from nas.supernet.training import Length, Look, Training
from tests.nas.commands import eventually
from tests.nas.supernet.small import MACRO, RECIPE, toy, toy_images, training


def test_training_learns(tmp_path: Path) -> None:
    looks: list[Look] = []
    training(tmp_path / "s", 24).run(looks.append)
    assert looks[-1].loss < looks[0].loss
    assert max(accuracy for _, accuracy in looks[-1].accuracies) > 0.8


@pytest.mark.parametrize("strategy", ["uniform", "fair", "sandwich"])
def test_an_interrupted_training_goes_on_to_the_same_weights(tmp_path: Path, strategy: str) -> None:
    whole = training(tmp_path / "whole", 6, strategy)
    whole.run()

    def interrupt(look: Look) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training(tmp_path / "part", 6, strategy).run(interrupt)
    resumed = training(tmp_path / "part", 6, strategy)
    assert resumed.state.step == 2
    resumed.run()
    for (name, expected), found in zip(
        whole.supernet.state_dict().items(), resumed.supernet.state_dict().values(), strict=True
    ):
        assert torch.equal(found, expected), name
    assert resumed.state.samples == whole.state.samples


def test_a_killed_training_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "supernet.safetensors"
    code = (
        "import sys; from pathlib import Path; import nas.supernet.training as t; t.CHECKPOINT_S = 0;"
        "from tests.nas.supernet.small import training; training(Path(sys.argv[1]), 10**6).run()"
    )
    killed = subprocess.Popen([sys.executable, "-c", code, str(path)], cwd=Path(__file__).parents[3])
    try:
        eventually(lambda: path.is_file() or killed.poll() is not None)
        assert killed.poll() is None, "it trains on and on"
    finally:
        killed.kill()
        killed.wait()
    resumed, unbroken = training(path, 10**6), training(tmp_path / "unbroken", 10**6)
    steps = resumed.state.step
    assert steps >= 1
    for run in (resumed, unbroken):
        while run.state.step < steps + 1:
            run._step(run.length.progress(run.state))
            run.state.step += 1
    for found, expected in zip(resumed.supernet.parameters(), unbroken.supernet.parameters(), strict=True):
        assert torch.equal(found, expected)


def test_adamw_resumes_too_and_another_space_is_refused(tmp_path: Path) -> None:
    recipe = RECIPE.with_(optimizer="adamw", lr=0.001)

    def interrupt(look: Look) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training(tmp_path / "a", 4, recipe=recipe).run(interrupt)
    resumed, whole = training(tmp_path / "a", 4, recipe=recipe), training(tmp_path / "b", 4, recipe=recipe)
    assert 0 < resumed.state.step < 4
    for run in (resumed, whole):
        run.run()
    for found, expected in zip(resumed.supernet.parameters(), whole.supernet.parameters(), strict=True):
        assert torch.equal(found, expected)
    with pytest.raises(UserError, match="another: remove the file"):
        Training(Supernet(MACRO, 3, 2, 32), toy_images(), RECIPE, toy(), Length(steps=1), tmp_path / "a")
