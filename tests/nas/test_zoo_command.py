"""`python -m nas.zoo`, seeds of a search from the zoo, and exports of published weights, as people run them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import torchvision

from nas import export, search, zoo
from nas.errors import UserError
from nas.figures import published as published_figure
from nas.published import published
from nas.seeds import placed
from nas.store import open_study
from search_spaces import zoo as known
from search_spaces.budget import Budget
from search_spaces.feasible import Feasible
from search_spaces.spaces import find as space
from tests.nas.test_search_command import QUICK, fails


def read(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


# ---------------------------------------------------------------------------------------- the table


def test_the_table_holds_every_network_and_says_where_printed_figures_differ(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert zoo.main(["--json"]) == 0
    rows = {row["name"]: row for row in json.loads(read(capsys))}
    assert list(rows) == known.names()
    assert rows["mobilenet_v2"]["macs"] == 300_774_272
    assert rows["mobilenet_v2"]["flops"] == 314_193_216
    disagreeing = [name for name, row in rows.items() if False in (row["macs_agree"], row["params_agree"])]
    assert disagreeing == [name for name, row in rows.items() if row["doubt"]] == ["mobilenet_v1_0.25_192"]


def test_a_pipe_gets_every_digit(capsys: pytest.CaptureFixture[str]) -> None:
    assert zoo.main(["--family", "shufflenet"]) == 0
    head, *lines = read(capsys).splitlines()
    assert len(lines) == 5
    first = dict(zip(head.split("\t"), lines[0].split("\t"), strict=True))
    assert (first["name"], first["macs"], first["printed_macs"]) == ("shufflenet_g1", "143078976", "143M")


def test_a_terminal_gets_a_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "160")
    assert zoo.main(["--family", "mobilenet_v1"]) == 0
    said = read(capsys)
    assert "31 of 32 printed figures agree" in said
    assert "mobilenet_v1_0.25_192: 34M must be a misprint" in said


def test_one_network_block_by_block(capsys: pytest.CaptureFixture[str]) -> None:
    assert zoo.main(["--arch", "squeezenet1_1", "--json"]) == 0
    found = json.loads(read(capsys))
    assert sum(line["flops"] for line in found["ledger"]) == found["flops"]
    assert found["arch"] == str(known.find("squeezenet1_1").arch)
    assert zoo.main(["--arch", "squeezenet1_1"]) == 0
    assert "Cost of each block" in read(capsys)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--arch", "mobilenetv2"], "lists (mobilenet_v2, "),
        (["--family", "vgg"], "a family of the zoo is one of densenet"),
        (["--train", "mobilenet_v2,nothing"], "but got 'nothing'"),
    ],
)
def test_mistakes_are_one_sentence(argv: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said in fails(lambda: zoo.main(argv), capsys)


# ---------------------------------------------------------------------------------------- training


def test_known_networks_train_as_candidates_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that the training resolution cannot reach fails with its reason; the same command goes on."""
    monkeypatch.chdir(tmp_path)
    argv = ["--train", "mobilenet_v1_0.25_128,squeezenet1_0", *QUICK]
    assert zoo.main(argv) == 0
    stored = open_study("sqlite:///results/nas.db", "zoo-fashion-subset")
    first, second = stored.candidates()
    assert first.attrs["reference"] == "mobilenet_v1_0.25_128"
    assert first.accuracy is not None
    assert first.cost == known.find("mobilenet_v1_0.25_128").cost
    assert (second.state, second.reason) == ("failed", "too small")
    assert "mobilenet_v1_0.25_128" in read(capsys)
    assert zoo.main([*argv[:1], argv[1] + ",mobilenet_v1_0.5_128", *QUICK]) == 0
    again = open_study("sqlite:///results/nas.db", "zoo-fashion-subset").candidates()
    assert [c.attrs["reference"] for c in again[2:]] == ["mobilenet_v1_0.5_128"]
    like = ["--train", "mobilenet_v1_0.25_128", "--like", "zoo-fashion-subset", "--study", "other", "--threads", "1"]
    assert zoo.main(like) == 0
    other = open_study("sqlite:///results/nas.db", "other")
    assert other.meta["recipe"] == stored.meta["recipe"]
    with pytest.raises(UserError, match=r"--like takes data.* but got --steps, --precision, --seed beside it"):
        zoo.main([*like, "--steps", "2", "--seed", "0", "--precision", "fp32"])


def test_a_search_begins_with_its_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    argv = ["--budget", "350MFLOPs", "--seeds-from", "zoo:mnasnet1_0,mobilenet_v2", *QUICK, "--no-export"]
    assert search.main([*argv, "--trials", "1"]) == 0
    said = capsys.readouterr().err
    assert "mnasnet1_0: left out, the space does not offer" in said
    assert "mobilenet_v2: queued without its dropout" in said
    assert search.main([*argv, "--trials", "2"]) == 0
    assert "mobilenet_v2: in the study already" in capsys.readouterr().err
    first, second = open_study("sqlite:///results/nas.db").candidates()
    assert first.attrs["seeded_from"] == "mobilenet_v2"
    assert first.cost == known.find("mobilenet_v2").cost
    assert "seeded_from" not in second.attrs


def test_a_seed_over_the_budget_is_left_out() -> None:
    tight = Feasible(space("mobile").at(224), Budget.parse("200MFLOPs"))
    arch, why = placed(tight, known.find("mobilenet_v2").arch)
    assert arch is None
    assert why == "314.2MFLOPs and the budget is 200MFLOPs"


def test_seeds_come_from_the_zoo_or_a_study(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    argv = ["--budget", "350MFLOPs", "--seeds-from", "mobilenet_v2", "--results", str(tmp_path)]
    assert "seeds are networks of the zoo or of an earlier study, as in zoo:" in fails(
        lambda: search.main(argv), capsys
    )


# ---------------------------------------------------------------------------------------- export


def test_published_weights_go_home(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The exported file computes what torchvision's module does, eps and all."""
    torch.manual_seed(0)
    judge = torchvision.models.mobilenet_v3_small(weights=None, num_classes=7)
    for part in judge.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(part.running_var, 0.01, 0.1)  # small, so that eps 0.001 counts
    torch.save(judge.state_dict(), tmp_path / "v3.pth")
    out = tmp_path / "v3"
    argv = ["--zoo", "mobilenet_v3_small", "--weights", str(tmp_path / "v3.pth"), "--out", str(out), "--json"]
    assert export.main(argv) == 0
    report = json.loads(read(capsys))
    assert report["num_classes"] == 7
    assert report["accuracy_text"] == "not measured here: the weights are another implementation's"
    names: dict[str, object] = {"__file__": str(out / "network.py"), "__name__": "network"}
    exec(compile((out / "network.py").read_text(), "network.py", "exec"), names)
    network = names["load"]().eval()  # type: ignore[operator]
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        wanted = judge.eval()(images)
        assert (network(images) - wanted).abs().max() <= 1e-4 * max(1.0, float(wanted.abs().max()))


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--zoo", "resnet50", "--weights", "bad.pth"], "a state dict of tensors, but bad.pth is neither"),
        (["--zoo", "resnet50", "--weights", "none.pth"], "none.pth says"),
        (["--zoo", "nin", "--weights", "list.pth"], "names with tensors, but list.pth holds something else"),
        (["--weights", "bad.pth"], "--weights go with --zoo NAME"),
        (["--zoo", "resnet50", "--arch", "r32"], "but got more than one of them"),
    ],
)
def test_what_cannot_be_exported_is_said(
    argv: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.pth").write_text("not weights")
    torch.save([1, 2], "list.pth")
    assert said in fails(lambda: export.main([*argv, "--out", "out"]), capsys)
    assert not Path("out").exists()


# ---------------------------------------------------------------------------------------- published figures


def test_published_figures_are_whole_and_in_range() -> None:
    table = published()
    assert list(table.columns) == ["name", "family", "resolution", "macs", "params", "top1", "source"]
    assert table[["name", "family", "macs", "top1", "source"]].notna().all(axis=None)
    assert table.top1.between(35, 90).all()
    assert table.macs.between(5e6, 2e11).all()
    assert not table.duplicated(["name", "source", "resolution"]).any()


def test_published_figures_of_the_zoo_are_the_zoos() -> None:
    """Torchvision rounds its multiply-adds to a million; ours are exact."""
    table = published().set_index("name")
    for name in ("mobilenet_v2", "resnet50", "densenet121", "squeezenet1_1", "mobilenet_v3_large"):
        rows, network = table.loc[[name]], known.find(name)
        exact = rows[rows.source.str.startswith("torchvision")].iloc[0]
        assert exact.params == network.cost.params
        assert abs(exact.macs - network.cost.macs) <= 5e5


def test_the_figure_draws_every_published_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = published_figure.data(published())
    assert sum(len(family.names) for family in found.families) == len(published())
    assert list(found.front.top1) == sorted(found.front.top1)
    figure = published_figure.plot(found)
    assert [trace.name for trace in figure.data][-1] == "best of all"
    assert zoo.main(["--plot", str(tmp_path / "p.html")]) == 0
    assert "EfficientNet" in (tmp_path / "p.html").read_text()
