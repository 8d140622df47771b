"""`python -m nas.space`: its numbers against brute force, its sentences, and the figure it draws."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise, product
from pathlib import Path
from random import Random
from typing import Any

import pytest
from PIL import Image

from nas.cli import run
from nas.figures import BLUE, flops_histogram, write
from nas.space import main
from search_spaces.arch import Arch
from search_spaces.budget import Budget
from search_spaces.cost import Cost, cost
from search_spaces.feasible import Feasible
from search_spaces.holes import fillings
from search_spaces.lattice import assemble, path_of
from search_spaces.spaces import find, names

SPACE_FILE = """
from search_spaces.arch import Arch, Stage
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.fire import Fire
from search_spaces.blocks.inverted_residual import InvertedResidual
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.holes import IntRange, OneOf
from search_spaces.space import Space


def _block():
    return OneOf(InvertedResidual(kernel=OneOf(3, 5), expand=OneOf(2.0, 4.0)), Fire(squeeze=OneOf(0.25, 0.5)))


SPACE = Space(
    "tiny",
    Arch(
        resolution=OneOf(16, 32),
        stem=ConvStem(width=OneOf(8, 16)),
        stages=(
            Stage(_block(), width=OneOf(16, 32)),
            Stage(_block(), width=OneOf(32, 48), depth=IntRange(1, 3), stride=2),
        ),
        head=PoolHead(),
    ),
    rules=(lambda stage, shape: stage.width >= 2 * shape.channels or stage.depth < 3,),
    about="a space for tests",
)
"""

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command: exit code, standard output, standard error."""

    def runs(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            run(lambda: main(list(arguments)))
        printed = capsys.readouterr()
        return int(stopped.value.code or 0), printed.out, printed.err

    return runs


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("space") / "tiny.py"
    path.write_text(SPACE_FILE)
    return str(path)


@pytest.fixture(scope="module")
def brute(tiny: str) -> list[tuple[Arch, Cost]]:
    """Every network of the tiny space at its larger resolution, one by one."""
    space = find(tiny).at(32)
    paths = product(*(list(fillings(node)) for node in path_of(space.template)))
    archs = [arch for arch in map(assemble, paths) if space.valid(arch)]
    return [(arch, cost(arch, 3, 10)) for arch in archs]


def read(command: Command, *arguments: str) -> dict[str, Any]:
    code, out, err = command(*arguments, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert isinstance(found, dict)
    return found


# ----------------------------------------------------------------------- numbers against brute force


def test_json_holds_what_brute_force_finds(command: Command, tiny: str, brute: list[tuple[Arch, Cost]]) -> None:
    limit = sorted(its_cost.flops for _, its_cost in brute)[len(brute) // 3]
    found = read(command, tiny, "--num-classes", "10", "--budget", f"{limit} flops", "--samples", "20")
    assert 0 < len(brute) == found["size"] < found["parts"][0]["fillings"] * 36 * 36
    flops = [its_cost.flops for _, its_cost in brute]
    assert (found["cheapest"]["flops"], found["dearest"]["flops"]) == (min(flops), max(flops))
    fitting = sum(f <= limit for f in flops) / len(brute)
    assert found["share"]["at_least"] <= fitting <= found["share"]["at_most"]
    assert found["share"]["at_most"] - found["share"]["at_least"] < 0.05
    assert found["budget"] == {"text": found["budget"]["text"], "flops": limit}
    known = {str(arch): its_cost for arch, its_cost in brute}
    for sample in (found["cheapest"], found["dearest"], *found["samples"]):
        its_cost = known[sample["arch"]]
        assert [sample[name] for name in ("flops", "macs", "params")] == [
            its_cost.flops,
            its_cost.macs,
            its_cost.params,
        ]
    assert len(found["samples"]) == 20
    assert all(sample["flops"] <= limit for sample in found["samples"])


@pytest.mark.parametrize("bars", [5, 24, 96])
def test_every_edge_of_the_histogram_parts_the_networks(tiny: str, brute: list[tuple[Arch, Cost]], bars: int) -> None:
    histogram = flops_histogram.data(Feasible(find(tiny).at(32), Budget(), 3, 10), bars)
    flops = [its_cost.flops for _, its_cost in brute]
    assert histogram.total == len(brute)
    assert len(histogram.counts) == len(histogram.edges) - 1 <= bars + 2
    assert histogram.blur <= max(flops) / 500
    below = 0
    for edge, number in zip(histogram.edges[1:-1], histogram.counts, strict=False):
        below += number
        surely = sum(f < edge - histogram.blur for f in flops)
        perhaps = sum(f < edge + histogram.blur for f in flops)
        assert surely <= below <= perhaps
    assert histogram.edges[0] <= min(flops) + histogram.blur
    assert histogram.edges[-1] > max(flops) - histogram.blur


def test_histogram_agrees_with_the_exact_share_and_with_draws() -> None:
    space = find("mobile").at(224)
    feasible = Feasible(space, Budget.parse("300MFLOPs"))
    histogram = flops_histogram.data(feasible)
    within = sum(
        share for high, share in zip(histogram.edges[1:], histogram.shares, strict=True) if high <= 300_000_000
    )
    least, most = feasible.share()
    assert least - 0.005 < within < most + 0.005
    rng = Random(0)
    drawn = sum(cost(space.sample(rng)).flops <= 300_000_000 for _ in range(2000)) / 2000
    assert abs(drawn - within) < 0.04


def test_a_space_of_one_network_has_a_histogram(tiny: str) -> None:
    space = find(tiny).at(32)
    arch = space.sample(Random(0))
    alone = type(space)("alone", arch)
    histogram = flops_histogram.data(Feasible(alone, Budget()))
    assert histogram.counts == (1,)
    assert histogram.edges[0] - histogram.blur <= cost(arch).flops < histogram.edges[1] + histogram.blur


def test_holes_are_all_there(command: Command, tiny: str) -> None:
    found = read(command, tiny, "--resolution", "16-32")
    space = find(tiny)
    assert {hole["path"] for part in found["parts"] for hole in part["holes"]} == set(space.holes)
    for part in found["parts"]:
        for hole in part["holes"]:
            assert tuple(hole["options"]) == space.holes[hole["path"]].labels
            assert hole["count"] == len(hole["options"])
    assert {part["name"]: part["fillings"] for part in found["parts"]} == {
        "resolution": 2,
        "stem": 2,
        "stage1": 12,
        "stage2": 36,
    }


def test_account_sums_to_the_cost(command: Command, tiny: str, brute: list[tuple[Arch, Cost]]) -> None:
    arch, its_cost = brute[-1]
    found = read(command, tiny, "--num-classes", "10", "--arch", str(arch), "--budget", f"{its_cost.macs - 1} macs")
    for name in ("flops", "macs", "params", "activations"):
        assert sum(row[name] for row in found["ledger"]) == found[name] == getattr(its_cost, name)
    assert (found["in_space"], found["in_budget"], found["part_of_budget"] > 1) == (True, False, True)
    rows = found["ledger"]
    assert all(before["output"] == after["input"] for before, after in pairwise(rows))
    assert rows[0]["input"] == [3, 32, 32]
    assert any(row["uncounted"] for row in rows)


@pytest.mark.parametrize(
    ("change", "because", "elsewhere"),
    [
        (("r32", "r16"), "the space does not offer 16 as resolution", True),
        (("conv_stem(width=8)", "conv_stem(width=24)"), "the space does not offer conv_stem(width=24) as stem", False),
        ((" | pool_head", " | fire c48 | pool_head"), "it has 3 and the space 2 stages", False),
        (("c32 s2", "c32 n3 s2"), "a rule of the space forbids it", False),
    ],
)
def test_account_says_why_a_network_lies_outside(
    command: Command, tiny: str, change: tuple[str, str], because: str, elsewhere: bool
) -> None:
    inside = "r32 | conv_stem(width=8) | fire(squeeze=0.25) c32 | fire(squeeze=0.25) c32 s2 | pool_head"
    assert read(command, tiny, "--arch", inside)["in_space"]
    found = read(command, tiny, "--arch", inside.replace(*change))
    assert not found["in_space"]
    assert found["not_in_space_because"] == because
    assert found["in_space_at_another_resolution"] is elsewhere


# --------------------------------------------------------------------------------- what is printed


@pytest.mark.parametrize("name", names())
def test_every_named_space_prints(command: Command, name: str) -> None:
    space = find(name)
    code, out, err = command(name, "--samples", "1")
    assert (code, err) == (0, "")
    size = space.at(space.resolutions[-1]).size()
    for expected in (name, space.about, f"search_spaces/spaces/{name}.py", f"{size:,} networks", "cheapest", "dearest"):
        assert expected in out
    assert f"--resolution {space.resolutions[0]}-{space.resolutions[-1]} opens them all" in out
    assert "\x1b" not in out
    assert not [line for line in out.splitlines() if line != line.rstrip()]


def test_overview_marks_the_budget_and_repeats_its_draws(command: Command) -> None:
    _, out, _ = command("mobile", "--budget", "300MFLOPs", "--samples", "2")
    assert re.search(r"budget +300MFLOPs: 41\.\d+ % to 42\.\d+ % of them fit", out)
    (marked,) = [line for line in out.splitlines() if "◀ 300MFLOPs" in line]
    assert marked.strip().startswith("250M – 300M")
    texts = [line.strip() for line in out.splitlines() if line.strip().startswith("r224 | ")]
    assert len(texts) == 4  # cheapest, dearest, two draws, each on a line of its own
    assert all(str(Arch.parse(text)) == text for text in texts)
    assert command("mobile", "--budget", "300MFLOPs", "--samples", "2")[1] == out
    assert command("mobile", "--budget", "300MFLOPs", "--samples", "2", "--seed", "1")[1] != out


def test_no_line_is_wider_than_the_terminal(monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    for width in (80, 140):
        monkeypatch.setenv("COLUMNS", str(width))
        for arguments in (["mixed", "--budget", "300MFLOPs"], ["mobile", "--resolution", "128-224"]):
            out = re.sub(r"\x1b\[[\d;]*m", "", command(*arguments, "--samples", "2")[1])
            assert max(map(len, out.splitlines())) <= width
        broken = re.search(r"cheapest.*?\n(.*?)\ndearest", out, re.DOTALL)
        assert broken
        assert Arch.parse(broken[1]) in find("mobile")  # what was broken for reading still parses


def test_account_prints_the_ledger(command: Command) -> None:
    text = "r224 | conv_stem(width=32) | inverted_residual(se=0.25) c24 n2 s2 | pool_head(width=960)"
    code, out, _ = command("mobile", "--arch", text, "--budget", "1G")
    assert code == 0
    assert "it has 1 and the space 7 stages" in out
    for expected in ("in budget", "stage1", "32×112×112 → 24×56×56", "total", "sigmoid", text):
        assert expected in out


def test_a_resolution_is_said_and_can_be_opened(command: Command) -> None:
    assert "as deployed: 224 px, 3 channels, 1,000 classes" in command("mobile", "--samples", "0")[1]
    opened = command("mobile", "--samples", "0", "--resolution", "128-224")[1]
    assert "as deployed: 128–224 px" in opened
    assert "opens them all" not in opened


# ------------------------------------------------------------------------------------ the figure


def test_html_works_offline(command: Command, tiny: str, tmp_path: Path) -> None:
    path = tmp_path / "histogram.html"
    code, out, err = command(tiny, "--budget", "1MFLOPs", "--plot", str(path))
    assert (code, err) == (0, "")
    assert f"written to {path}" in out
    page = path.read_text()
    assert len(page) > 1_000_000  # plotly.js is inside
    assert not re.search(r"""<(script|link|img)\b[^>]*\b(src|href)\s*=""", page[:20_000] + page[-20_000:])
    assert not re.search(r"""<script[^>]*\bsrc\s*=\s*["']?https?:""", page)
    assert '"showSendToCloud": false' in page  # no button that uploads the figure
    assert "<title>tiny: FLOPs of all" in page


def test_png_is_drawn(command: Command, tiny: str, tmp_path: Path) -> None:
    path = tmp_path / "histogram.PNG"
    code, _, err = command(tiny, "--budget", "1MFLOPs", "--plot", str(path))
    assert (code, err) == (0, "")
    with Image.open(path) as image:
        assert image.size == (1920, 1080)
        colours = {colour for _, colour in image.convert("RGB").getcolors(1 << 20)}
    assert {(255, 255, 255), (0x35, 0x66, 0xA8), (0xC3, 0xCA, 0xD3)} <= colours  # within and over the budget


def test_figure_draws_its_data(tiny: str) -> None:
    histogram = flops_histogram.data(Feasible(find(tiny).at(32), Budget.parse("1MFLOPs"), 3, 10))
    figure = flops_histogram.plot(histogram)
    assert sum(figure.data[0].y) == pytest.approx(100)
    assert len(figure.data[0].x) == len(histogram.counts)
    assert "MFLOPs" in figure.layout.xaxis.title.text
    assert "%" in figure.layout.yaxis.title.text
    assert figure.layout.shapes[0].x0 == 1.0
    within = [high <= 1_000_000 for high in histogram.edges[1:]]
    assert [colour == BLUE for colour in figure.data[0].marker.color] == within
    assert 0 < sum(within) < len(within)


def test_a_png_without_chromium_is_a_sentence(
    command: Command, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "no-browser"))
    path = tmp_path / "histogram.png"
    code, out, err = command(tiny, "--plot", str(path))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "Chromium" in err
    assert ".html" in err
    assert not path.exists()


def test_a_png_without_kaleido_is_a_sentence(
    command: Command, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kaleido", None)
    code, _, err = command(tiny, "--plot", str(tmp_path / "histogram.png"))
    assert (code, err.count("\n")) == (2, 1)
    assert "pip install" in err


# ------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mobil"], "did you mean mobile?"),
        (["no/such/file.py"], "a space file must exist"),
        (["mobile", "--budget", "many"], "a budget reads like 300MFLOPs"),
        (["mobile", "--budget", "1MFLOPs"], "the cheapest network of mobile has 82.530496M FLOPs"),
        (["mobile", "--arch", "r224 | conv_stem(width=32) | nonsense c3"], "expected"),
        (["mobile", "--arch", "r8 | conv_stem(width=32) | alexnet c3 | pool_head"], "expected"),
        (["mobile", "--resolution", "wide"], "a resolution is a number of pixels"),
        (["mobile", "--resolution", "300-400"], "a range must hold a resolution"),
        (["mobile", "--samples", "-1"], "a whole number"),
        (["mobile", "--samples", "100000"], "at most 10000 draws"),
        (["mobile", "--plot", "histogram.jpg"], "must end in .html or .png, but got histogram.jpg"),
        (["mobile", "--plot", "histogram"], "must end in .html or .png"),
        (["mobile", "--plot", "no/such/folder/histogram.html"], "a folder that exists"),
        ([], "required: space"),
    ],
)
def test_a_mistake_is_a_sentence_and_exit_code_2(command: Command, arguments: list[str], said: str) -> None:
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_a_file_that_cannot_be_written_is_a_sentence(command: Command, tiny: str, tmp_path: Path) -> None:
    code, _, err = command(tiny, "--plot", str(tmp_path / f"{'long' * 100}.html"))
    assert (code, err.count("\n")) == (2, 1)
    assert "must be writable" in err


def test_of_two_limits_only_the_tighter_bounds_the_share(
    command: Command, tiny: str, brute: list[tuple[Arch, Cost]]
) -> None:
    costs = [its_cost for _, its_cost in brute]
    flops, params = sorted(c.flops for c in costs)[len(costs) // 2], sorted(c.params for c in costs)[len(costs) // 3]
    budget = f"{flops} flops, {params} params"
    found = read(command, tiny, "--num-classes", "10", "--budget", budget, "--samples", "3")
    fitting = sum(c.flops <= flops and c.params <= params for c in costs) / len(costs)
    assert found["share"]["at_least"] == 0.0
    assert fitting <= found["share"]["at_most"] < 0.6
    assert all(sample["flops"] <= flops and sample["params"] <= params for sample in found["samples"])
    assert "at most" in command(tiny, "--num-classes", "10", "--budget", budget)[1]


# ---------------------------------------------------------------------------------------- speed


def test_help_is_fast_and_nothing_imports_torch() -> None:
    """CPU seconds of a whole process, so that a busy machine does not matter."""
    script = (
        "import runpy, sys, time\n"
        "sys.argv = ['space', *sys.argv[1:]]\n"
        "try:\n    runpy.run_module('nas.space', run_name='__main__')\n"
        "except SystemExit as stopped:\n    assert not stopped.code\n"
        "heavy = {'torch', 'plotly', 'rich', 'numpy', 'pandas', 'optuna', 'kaleido'} & set(sys.modules)\n"
        "print(time.process_time(), sorted(heavy), file=sys.stderr)\n"
    )

    def heavy(*arguments: str) -> tuple[float, str]:
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True, timeout=60
        )
        seconds, _, modules = done.stderr.strip().splitlines()[-1].partition(" ")
        return float(seconds), modules

    seconds, modules = heavy("--help")
    assert modules == "[]"
    assert seconds < 0.5
    assert heavy("mobile", "--json")[1] == "[]"
    assert heavy("mobile", "--budget", "300M")[1] == "['rich']"


def test_write_refuses_what_it_cannot_draw(tmp_path: Path) -> None:
    from nas.errors import UserError

    with pytest.raises(UserError, match="must end in"):
        write(None, tmp_path / "figure.svg")
