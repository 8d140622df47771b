"""`python -m nas.search`, `nas.train` as people run them: what they print, and what they say to mistakes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from nas import cli, search, train
from nas.errors import UserError
from nas.recipe import QUICK as QUICK_RECIPE
from nas.recipe import Recipe
from nas.session import SAME, part, require_same
from nas.store import open_study
from tests.nas.searching import search as toy

QUICK = ["--steps", "2", "--train-resolution", "12", "--batch-size", "16", "--threads", "1", "--seed", "3"]
SPACE = """
from search_spaces import Arch, IntRange, OneOf, Stage
from search_spaces.blocks.bottleneck import Bottleneck
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.space import Space

small = Space("small", Arch(
    resolution=OneOf(64, 96),
    stem=ConvStem(width=OneOf(8, 16)),
    stages=(Stage(Bottleneck(ratio=OneOf(0.25, 0.5)), width=OneOf(16, 32), depth=IntRange(1, 3), stride=2),),
    head=PoolHead(),
))
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with a space file and a folder of images in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.py").write_text(SPACE)
    for name, shade in (("dark", 40), ("bright", 200)):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(12):
            Image.new("RGB", (20, 20), (shade, shade + i, shade)).save(tmp_path / "images" / name / f"{i}.png")
    return tmp_path


def arguments(*more: str, space: str = "space.py:small", data: str = "images") -> list[str]:
    return ["--budget", "8MFLOPs", "--space", space, "--data", data, *QUICK, *more]


def fails(main: Callable[[], int], capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence of a command that ends with exit code 2."""
    with pytest.raises(SystemExit) as caught:
        cli.run(main)
    assert caught.value.code == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert "Traceback" not in "".join(said)
    return said[-1] if said[-1].startswith(("error: ", "python -m")) else "\n".join(said)


# ---------------------------------------------------------------------------------- the main job


def test_search_train_and_resume(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert search.main(arguments("--trials", "4", "--json")) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ended"] == "4 trials are done"
    assert found["proposals"]["proposed"] >= 4
    assert all(row["flops"] <= 8_000_000 for row in found["front"])
    exported = Path(found["exported"])
    assert {p.suffix for p in exported.iterdir()} == {".py", ".safetensors", ".json", ".md"}
    assert (here / "results" / found["study"] / "front.html").is_file()

    assert search.main(arguments("--trials", "5")) == 0
    said = capsys.readouterr()
    assert said.out.startswith("trial\taccuracy\tflops\tmacs\tparams\tarchitecture\n")
    assert "4 trials are done; until 5 trials" in said.err
    assert "nas.train --study" in said.err
    assert "nas.export --study" in said.err
    assert "your own data" in said.err

    assert train.main(["--steps", "2", "--batch-size", "16", "--threads", "1", "--seeds", "2", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["seeds"] == [0, 1]
    assert len(report["test_accuracies"]) == 2
    assert Path(report["weights"]).is_file()


def test_the_embedded_data_and_a_named_space(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["--budget", "100MFLOPs", "--space", "mobile", "--trials", "1", "--json", *QUICK]
    assert search.main(line) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["study"] == "mobile-100MFLOPs-fashion-subset"
    assert found["front"][0]["arch"].startswith("r224 | ")
    assert 82_000_000 < found["front"][0]["flops"] <= 100_000_000


def test_help_teaches_and_is_quick() -> None:
    code = "import sys; from nas import search; search.parser().format_help(); print('torch' in sys.modules)"
    start = time.process_time()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert time.process_time() - start < 1
    assert "examples:" in search.parser().format_help()


# -------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["--space", "mobil"], "one of dense, grouped, inception, mixed, mobile, .* (did you mean mobile?)"),
        (["--space", "missing.py:x"], "a space file must exist, but got missing.py"),
        (["--budget", "3 apples"], "try 300MFLOPs"),
        (["--budget", "1kFLOPs"], "the cheapest network of small has"),
        (["--resolution", "big"], "a number of pixels or a range such as 128-224"),
        (["--sampler", "magic"], "a sampler is one of"),
        (["--data", "nowhere/"], "nowhere"),
        (["--data", "cifar11"], "did you mean|the known names are"),
        (["--recipe", "slow"], "a recipe is one of"),
        (["--device", "cuda:99"], "a device must be one that is here"),
        (["--trials", "0"], "a whole number of at least 1"),
        (["--timeout", "soon"], "a time reads like 90s"),
        (["--storage", "nosuchdb://x"], "nosuchdb"),
        (["--storage", "mysql+pymysql://localhost/none"], "pymysql is missing: for PostgreSQL the extra `postgres`"),
        (["--storage", "postgresql+psycopg://localhost:1/none"], "the storage must be reachable"),
        (["--results", "space.py"], "results need a folder that can be written"),
        (["--lr", "-1"], "a recipe's lr must be more than 0"),
        (["--batch-size", "1"], "a recipe's batch_size must be at least 2"),
        (["--trust", "-1"], "a whole number of at least 1"),
    ],
)
def test_a_mistake_is_one_sentence(here: Path, capsys: pytest.CaptureFixture[str], line: list[str], said: str) -> None:
    import re

    sentence = fails(lambda: search.main(arguments("--trials", "1", *line)), capsys)
    assert re.search(said.replace("(", r"\(").replace(")", r"\)").replace("?", r"\?"), sentence), sentence


def test_folders_of_images_that_cannot_be_used(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "empty" / "a").mkdir(parents=True)
    (here / "one" / "only").mkdir(parents=True)
    for i in range(5):
        Image.new("RGB", (8, 8)).save(here / "one" / "only" / f"{i}.png")
    assert "image" in fails(lambda: search.main(arguments(data="empty/")), capsys)
    assert "class" in fails(lambda: search.main(arguments(data="one/")), capsys)
    broken = here / "images" / "dark" / "3.png"
    broken.write_bytes(broken.read_bytes()[:40])
    assert "3.png" in fails(lambda: search.main(arguments()), capsys)


def test_a_study_goes_on_only_as_it_began(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = arguments("--trials", "1", "--study", "mine", "--no-export")
    assert search.main(line) == 0
    capsys.readouterr()
    (here / "wider.py").write_text(SPACE.replace("OneOf(16, 32)", "OneOf(16, 40)"))
    shutil.copytree(here / "images", here / "other")
    Image.new("RGB", (20, 20), (90, 0, 0)).save(here / "other" / "dark" / "0.png")
    for change, said in (
        (["--lr", "0.5"], "lr 0.1, now 0.5"),
        (["--budget", "9MFLOPs"], "budget "),
        (["--space", "wider.py:small"], "space_fingerprint "),
        (["--sampler", "gp"], "sampler 'known_cost', now 'gp'"),
        (["--seed", "4"], "seed 3, now 4"),
        (["--num-classes", "12"], "num_classes 1000, now 12"),
        (["--in-channels", "1"], "in_channels 3, now 1"),
        (["--data", "other"], "data_fingerprint "),
        (["--prefilter", "naswot:2x"], "prefilter '', now 'naswot:2x'"),
        (["--evaluator", "inherit"], "evaluator 'short', now 'inherit'"),
    ):
        sentence = fails(lambda c=change: search.main([*line, *c]), capsys)  # type: ignore[misc]
        assert f"a study goes on only as it began, but mine was made with {said}" in sentence
        assert "--study NAME" in sentence
    (here / "images").rename(here / "moved")
    assert search.main([*line, "--data", str(here / "moved")]) == 0  # the same images


def test_a_table_of_latencies_may_not_change_in_mid_way(tmp_path: Path) -> None:
    run = toy(tmp_path, "random")
    meta = dict.fromkeys(SAME, "") | {"recipe": Recipe().to_json(), "latency_table": "one"}
    run.stored.meta = dict(meta)
    require_same(run.stored, meta)
    with pytest.raises(UserError, match="latency_table 'one', now 'other'"):
        require_same(run.stored, meta | {"latency_table": "other"})
    del run.stored.meta["latency_table"]  # of an older study, which does not say
    require_same(run.stored, meta)


def test_networks_are_trained_on_the_studys_own_images(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    search.main(arguments("--trials", "1", "--no-export"))
    Image.new("RGB", (20, 20), (90, 0, 0)).save(here / "images" / "dark" / "0.png")
    assert "images changed since" in fails(lambda: train.main(["--steps", "2"]), capsys)


def test_what_a_recipe_file_says_is_kept_where_the_command_line_is_silent(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = QUICK_RECIPE.with_(data="images", seed=5, resolution=14, reference=96, batch_size=16, steps=2)
    (here / "mine.json").write_text(json.dumps(recipe.to_json()))
    line = ["--recipe", "mine.json", "--threads", "1"]
    limits = ["--budget", "8MFLOPs", "--space", "space.py:small", "--trials", "1", "--no-export"]
    assert search.main([*limits, *line]) == 0
    stored = open_study(cli.STORAGE)
    assert (stored.meta["data"], stored.meta["seed"], stored.meta["recipe"]["seed"]) == ("images", 5, 5)
    assert stored.best().pixels == 14
    capsys.readouterr()
    assert train.main([*line, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pixels"] == 14
    assert train.main(["--steps", "2", "--threads", "1", "--train-resolution", "12", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pixels"] == 12
    assert train.main(["--steps", "2", "--threads", "1", "--json"]) == 0  # as the study's candidates were
    assert json.loads(capsys.readouterr().out)["pixels"] == 14


def test_no_epochs_are_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["--budget", "8MFLOPs", "--space", "space.py:small", "--data", "images", "--epochs", "0"]
    assert "a recipe's epochs must be more than 0" in fails(lambda: search.main(line), capsys)


def test_ctrl_c_while_networks_train_longer_leaves_a_search_that_is_done(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nas.trust._longer", interrupted)
    assert search.main(arguments("--trials", "2", "--json")) == 130
    found = json.loads(capsys.readouterr().out)
    assert (found["ended"], found["trust"]["n"]) == ("interrupted", 0)
    assert Path(found["exported"]).is_dir()


def test_training_a_study_that_is_not_there(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no sqlite:///results/nas.db" in fails(lambda: train.main(["--study", "x"]), capsys)
    search.main(arguments("--trials", "1", "--no-export"))
    capsys.readouterr()
    assert "but got x" in fails(lambda: train.main(["--study", "x"]), capsys)
    assert "a trial must be one of the study" in fails(lambda: train.main(["--trial", "7"]), capsys)


@pytest.mark.parametrize(
    ("least", "most", "said"),
    [
        (0.421, 0.424, "about 42%"),
        (0.3, 0.6, "30.00% to 60.00%"),
        (0.0052, 0.0052, "about 0.52%"),
        (0.0, 0.0002, "0.00% to 0.02%"),
        (1e-9, 2e-9, "less than 0.01%"),
    ],
)
def test_how_much_of_a_space_fits_is_told_for_people(least: float, most: float, said: str) -> None:
    assert part(least, most) == said
