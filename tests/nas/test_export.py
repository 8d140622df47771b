"""`python -m nas.export`: from a study or a text to a folder, and the sentences of its errors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
from safetensors.torch import load_file

from nas import cli, export
from nas.build import build
from nas.candidates import weights_name
from nas.exporters.python_module import SUFFIXES
from nas.files import write_weights
from nas.packaging import proof
from nas.packaging.package import ExportError
from nas.store import Stored, create_study
from search_spaces.arch import Arch
from search_spaces.cost import cost

ARCHS = (
    "r64 | conv_stem(width=8) | inverted_residual c8 n2 | inverted_residual c16 s2 | pool_head",
    "r64 | conv_stem(width=8) | mlpconv c16 n2 s2 | pool_head",
    "r64 | conv_stem(width=8) | bottleneck c16 s2 | pool_head",
)
META = {
    "space": "mobile",
    "budget": "300MFLOPs",
    "sampler": "random",
    "seed": 3,
    "in_channels": 3,
    "num_classes": 100,
    "data": "fashion-subset",
    "data_classes": 10,
    "classes": [f"class {i}" for i in range(10)],
    "recipe": {"epochs": 0.4, "steps": 0},
    "versions": {"torch": "2.9"},
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written but below a folder of the test's own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def unproved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports without the fresh process, which takes seconds and is tested in its own place."""

    def trusted(folder: Path, package: Any, name: str = "network") -> proof.Proof:
        return proof.Proof(package.cost.flops, package.cost.params, 4, 0.0, 1.0, 0.0, 1.0)

    monkeypatch.setattr(proof, "prove", trusted)


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    """A study of three trials: the second is the best, the third failed."""
    folder = tmp_path / "results" / "study"
    made = create_study(cli.STORAGE, "study", META | {"folder": str(folder)}, optuna.samplers.RandomSampler())
    for number, (text, accuracy) in enumerate(zip(ARCHS, (0.5, 0.75, None), strict=True)):
        trial, arch = made.study.ask(), Arch.parse(text)
        trial.set_user_attr("arch", text)
        trial.set_user_attr("pixels", 28)
        if accuracy is None:
            made.study.tell(trial, state=optuna.trial.TrialState.FAIL)
            continue
        write_weights(seeded(arch.at(28), number).state_dict(), folder / weights_name(number))
        trial.set_user_attr("curve", [{"samples": 640, "accuracy": accuracy}])
        made.study.tell(trial, [accuracy, cost(arch).flops])
    return made


def seeded(arch: Arch, seed: int) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build(arch, 3, 10)


def asked(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """What the command reports as JSON."""
    assert export.main([*words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.usefixtures("unproved")
def test_the_best_of_a_study(stored: Stored, capsys: pytest.CaptureFixture[str]) -> None:
    report = asked(capsys, "--study", "study", "--best", "--out", "home")
    assert report["arch"] == ARCHS[1]
    assert report["trained"]
    assert report["accuracy"] | {"epochs": None} == {
        "value": 0.75,
        "split": "validation",
        "data": "fashion-subset",
        "resolution": 28,
        "epochs": None,
        "samples": 640,
    }
    assert (report["num_classes"], report["deployed"]["num_classes"]) == (10, 100)
    assert report["cost"]["flops"] == cost(Arch.parse(ARCHS[1]), 3, 100).flops
    assert report["provenance"]["trial"] == 1
    weights = load_file("home/network.safetensors")
    for name, value in seeded(Arch.parse(ARCHS[1]), 1).state_dict().items():
        assert torch.equal(weights[name], value)
    assert "mobile" in Path("home/network.py").read_text(encoding="utf-8")


@pytest.mark.usefixtures("unproved")
def test_weights_of_final_training_come_first(stored: Stored, capsys: pytest.CaptureFixture[str]) -> None:
    arch = Arch.parse(ARCHS[0])
    final = write_weights(seeded(arch, 7).state_dict(), stored.folder / "final.safetensors")
    report = {"test_accuracy": 0.8, "kept_test_accuracy": 0.81, "pixels": 32, "recipe": {"epochs": 10}}
    stored.note_training(arch, report | {"weights": str(final)})
    found = asked(capsys, "--trial", "0", "--out", "home", "--name", "mine")
    assert (found["accuracy"]["value"], found["accuracy"]["split"]) == (0.81, "test")
    assert (found["accuracy"]["epochs"], found["accuracy"]["resolution"]) == (10, 32)
    stem = load_file("home/mine.safetensors")["stem.conv.weight"]
    assert torch.equal(stem, seeded(arch, 7).state_dict()["stem.conv.weight"])
    final.unlink()  # the search's own are the next best
    assert asked(capsys, "--trial", "0", "--out", "home")["accuracy"]["split"] == "validation"


@pytest.mark.usefixtures("unproved")
def test_deployment_changes_the_costs_and_not_the_weights(stored: Stored, capsys: pytest.CaptureFixture[str]) -> None:
    report = asked(capsys, "--study", "study", "--out", "home", "--num-classes", "7", "--in-channels", "1")
    assert report["cost"]["params"] == cost(Arch.parse(ARCHS[1]), 1, 7).params
    assert (report["in_channels"], report["num_classes"]) == (3, 10)


@pytest.mark.usefixtures("unproved")
def test_untrained_networks_say_so(stored: Stored, capsys: pytest.CaptureFixture[str]) -> None:
    report = asked(capsys, "--trial", "2", "--untrained", "--out", "home")
    assert not report["trained"]
    assert report["num_classes"] == 100
    assert "never trained" in Path("home/network.py").read_text(encoding="utf-8")


def test_a_text_with_the_proof_and_the_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert export.main(["--arch", ARCHS[0], "--out", "home", "--num-classes", "12"]) == 0
    said = capsys.readouterr().out
    expected = cost(Arch.parse(ARCHS[0]), 3, 12)
    for part in (f"{expected.flops:,}", f"{expected.macs:,}", f"{expected.params:,}", "fresh initialisation", "proved"):
        assert part in said
    usage = [line.removeprefix("  >>> ") for line in said.splitlines() if line.startswith("  >>> ")]
    assert len(usage) == 3
    ran = subprocess.run([sys.executable, "-c", "\n".join(usage)], cwd="home", capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.usefixtures("unproved")
def test_a_text_is_initialised_the_same_every_time(capsys: pytest.CaptureFixture[str]) -> None:
    for out in ("one", "two"):
        torch.rand(3)  # whatever was drawn before
        state = torch.random.get_rng_state()
        asked(capsys, "--arch", ARCHS[0], "--out", out)
        assert torch.equal(torch.random.get_rng_state(), state)
    one, two = (load_file(f"{out}/network.safetensors") for out in ("one", "two"))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_failed_proof_leaves_what_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuted(folder: Path, package: Any, name: str = "network") -> proof.Proof:
        assert (folder / f"{name}.py").is_file()
        raise ExportError("the exported module is another network")

    monkeypatch.setattr(proof, "prove", refuted)
    for out, before in (("new", None), ("old", "an earlier export")):
        if before:
            Path(out).mkdir()
            Path(out, "network.py").write_text(before)
        with pytest.raises(ExportError, match="another network"):
            export.main(["--arch", ARCHS[0], "--out", out])
        left = {path.name: path.read_text() for path in Path(out).glob("*")}
        assert left == ({"network.py": before} if before else {})


@pytest.mark.usefixtures("unproved")
def test_a_proved_export_is_four_files(tmp_path: Path) -> None:
    assert export.main(["--arch", ARCHS[0], "--out", "home"]) == 0
    assert {path.name for path in (tmp_path / "home").iterdir()} == {f"network{suffix}" for suffix in SUFFIXES}
    assert "## Proof" in Path("home/network.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--arch", "r64 | conv_stem(width=8) | nothing c8 | pool_head", "--out", "x"), "nothing"),
        (("--arch", ARCHS[0], "--study", "study", "--out", "x"), "got more than one of them"),
        (("--arch", ARCHS[0], "--best", "--out", "x"), "got more than one of them"),
        (("--arch", ARCHS[0], "--out", "x", "--name", "no name"), "a module's name must be"),
        (("--study", "study", "--out", "x"), "run nas.search"),
        (("--arch", ARCHS[0], "--out", "a_file"), "a folder that can be written"),
        (("--arch", ARCHS[0], "--out", "x", "--num-classes", "1000000000"), "1,000,000,000 classes it has 17,00"),
        (("--arch", ARCHS[0], "--out", "x", "--in-channels", "1000000"), "it has 72,021,640 and 4,096,"),
    ],
)
def test_mistakes_are_one_sentence(
    words: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("a_file").touch()
    assert_refused(words, sentence, capsys)
    assert not Path("x").exists()


def test_mistakes_about_a_study_are_one_sentence(stored: Stored, capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused(("--study", "other", "--out", "x"), "a study must be one of", capsys)
    assert_refused(("--trial", "9", "--out", "x"), "but got 9", capsys)
    assert_refused(("--trial", "2", "--out", "x"), "nas.train --study study --trial 2`, or add --untrained", capsys)
    assert_refused(("--best", "--out", "x", "--in-channels", "1000000000"), "for 1,000,000,000 channels", capsys)
    (stored.folder / weights_name(1)).write_bytes(b"not weights")
    assert_refused(("--best", "--out", "x"), "weights must be a safetensors file", capsys)
    write_weights({"a": torch.zeros(1)}, stored.folder / weights_name(1))
    assert_refused(("--best", "--out", "x"), "weights must be those of the network", capsys)


def assert_refused(words: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.run(lambda: export.main(list(words)))
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert sentence in said
    assert "Traceback" not in said


def test_help_answers_at_once() -> None:
    """CPU seconds of a whole process, so that a busy machine does not matter."""
    script = (
        "import sys, time, nas.export; nas.export.parser(); "
        "print(time.process_time(), {'torch', 'numpy', 'pandas', 'optuna'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    seconds, _, heavy = done.stdout.strip().partition(" ")
    assert heavy == "set()"
    assert float(seconds) < 0.5
