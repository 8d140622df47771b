"""`python -m nas.scale`, its laws of measured accuracy, and its figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nas import scale
from nas.figures import iso_cost, trade_offs
from nas.power_law import Law, fit
from nas.store import open_study
from nas.trade_offs import Curve, curves, variants, verdict
from search_spaces import zoo
from search_spaces.arch import Arch
from search_spaces.cost import cost
from search_spaces.scaling import MIXES
from tests.dashboard.studying import make
from tests.nas.test_search_command import QUICK, fails

SMALL = "r32 | conv_stem(width=8) | bottleneck c16 n2 s2 | bottleneck c32 n2 s2 | pool_head"


def ask(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, object]:
    capsys.readouterr()
    assert scale.main([*argv, "--json"]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


# ------------------------------------------------------------------------------------ exact costs


def test_directions_list_ideal_and_realised(capsys: pytest.CaptureFixture[str]) -> None:
    found = ask(capsys, "--zoo", "efficientnet_b0", "--factor", "2")
    rows = found["rows"]
    assert [row["label"] for row in rows[:4]] == list(MIXES)  # type: ignore[index]
    assert len(rows) == 16  # type: ignore[arg-type]  # 15 of quarters hold the three axes, and compound
    for row in rows:  # type: ignore[attr-defined]
        assert row["alpha"] * row["beta"] ** 2 * row["gamma"] ** 2 == pytest.approx(2)
        assert row["realised"]["times"] == pytest.approx(2, rel=0.25)
        assert cost(Arch.parse(row["realised"]["arch"])).flops == row["realised"]["flops"]


def test_a_network_is_fitted_to_a_budget(capsys: pytest.CaptureFixture[str]) -> None:
    found = ask(capsys, "--zoo", "mobilenet_v2", "--fit", "150MFLOPs")
    assert 0.95 < found["part_of_budget"] <= 1  # type: ignore[operator]
    assert found["fitted"]["flops"] <= 150e6  # type: ignore[index]
    wide = ask(capsys, "--arch", SMALL, "--fit", "20MMACs, 1Mparams", "--along", "1,1.5,1")
    assert (wide["mix"]["width"], wide["fitted"]["px"]) == (1.0, 32)  # type: ignore[index]


def test_phi_is_efficientnets(capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = ask(capsys, "--zoo", "efficientnet_b0", "--phi", "1")["rows"]  # type: ignore[misc]
    assert (row["alpha"], row["beta"], row["gamma"]) == pytest.approx((1.2, 1.1, 1.15))


@pytest.mark.parametrize("named", ["--study", "--from-study"])
def test_a_studys_best_network_is_scaled(named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored = make(tmp_path, 4)
    make(tmp_path, 0, name="other")  # a storage of several studies: the name is needed
    found = ask(capsys, named, "toy", "--best", "--storage", f"sqlite:///{tmp_path / 'nas.db'}", "--factor", "2")
    assert found["network"]["arch"] == str(stored.best().arch)  # type: ignore[index]
    assert found["rows"][0]["realised"]["times"] == pytest.approx(2, rel=0.2)  # type: ignore[index]


ODD = ("-1", "0", "inf", "nan", "1e7", "1e300", "two")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "but got none or several"),
        (["--zoo", "nin", "--arch", SMALL], "but got none or several"),
        (["--arch", SMALL, "--fit", "1kFLOPs"], "must shrink to 1kFLOPs in this direction"),
        (["--arch", SMALL, "--fit", "9MFLOPs", "--along", "1,1,1"], "or α,β,γ such as 1.2,1.1,1.15, but got '1,1,1'"),
        (["--arch", SMALL, "--fit", "9MFLOPs", "--along", "measured"], "storage must exist"),
        (
            ["--arch", SMALL, "--factors", "0,1"],
            "numbers from 0.001 to 1000, parted by commas, are needed, but got '0,1'",
        ),
        (["--arch", SMALL, "--factors", "1,nan"], "numbers from 0.001 to 1000"),
        *((["--arch", SMALL, f"--factor={f}"], f"a number from 0.001 to 1000 is needed, but got '{f}'") for f in ODD),
        *((["--arch", SMALL, f"--phi={f}"], f"a number from -10 to 10 is needed, but got '{f}'") for f in ODD[2:]),
        (["--arch", SMALL, "--directions", "2000"], "a whole number from 1 to 20 is needed, but got '2000'"),
    ],
)
def test_mistakes_are_one_sentence(
    argv: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in fails(lambda: scale.main(argv), capsys)


@pytest.mark.parametrize(("factor", "said"), [("1000", "none: too large"), ("0.001", "none: too small")])
def test_what_does_not_come_out_is_said(factor: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert scale.main(["--zoo", "squeezenet1_0", "--factor", factor]) == 0
    assert said in capsys.readouterr().out


def test_contours_are_counted(tmp_path: Path) -> None:
    arch = zoo.find("mobilenet_v2").arch
    found = iso_cost.data(arch)
    row, column = (
        min(range(33), key=lambda i: abs(found.width[i] - 1)),
        min(range(33), key=lambda i: abs(found.depth[i] - 1)),
    )
    assert found.times[row][column] == pytest.approx(1, rel=0.1)
    for line in found.times:  # more depth never costs less
        assert list(line) == sorted(line)
    assert iso_cost.plot(found).data[0].type == "contour"
    assert scale.main(["--zoo", "mobilenet_v2", "--plot", str(tmp_path / "c.html"), "--json"]) == 0


# ----------------------------------------------------------------------------------------- laws


def test_a_law_is_found_again() -> None:
    truth = Law(ceiling=0.9, gap=0.2, exponent=0.5, reference=1e7)
    flops = np.repeat(1e7 * np.array([0.5, 1, 2, 4, 8]), 3)
    exact = fit(flops, truth(flops), 1e7)
    assert exact is not None
    assert exact.law.ceiling == pytest.approx(0.9, abs=0.005)
    assert exact.law.exponent == pytest.approx(0.5, rel=0.05)
    noisy = fit(flops, truth(flops) + np.random.default_rng(1).normal(0, 0.005, len(flops)), 1e7)
    assert noisy is not None
    low, high = noisy.interval(np.array([1e7, 4e7]))
    assert (low < truth(np.array([1e7, 4e7]))).all()
    assert (high > truth(np.array([1e7, 4e7]))).all()
    assert (high - low < 0.02).all()


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """40 noisy experiments, 95 % intervals: at least 34 cover (a chance of 98 % if they are right)."""
    truth = Law(ceiling=0.9, gap=0.2, exponent=0.5, reference=1e7)
    flops, covered = np.repeat(1e7 * np.array([0.5, 1, 2, 4]), 3), 0
    for seed in range(40):
        values = truth(flops) + np.random.default_rng(seed).normal(0, 0.01, len(flops))
        found = fit(flops, values, 1e7, seed)
        assert found is not None
        low, high = found.interval(2e7)
        covered += bool(low <= truth(2e7) <= high)
    assert covered >= 34


def test_a_fall_is_told() -> None:
    falling = Curve("depth", (1, 1, 2, 4), (0.7, 0.8, 0.7, 0.5), None)
    assert falling.falls == pytest.approx((0.75, 0.5))
    assert Curve("depth", (1, 2), (0.7, 0.8), None).falls is None


def test_two_costs_make_no_law() -> None:
    assert fit(np.array([1e6, 2e6, 2e6]), np.array([0.5, 0.6, 0.6]), 1e6) is None


# ------------------------------------------------------------------------------------- measuring


def test_variants_hold_the_network_once_and_every_direction() -> None:
    arch = zoo.find("mobilenet_v2_0.35_96").arch
    items = variants(arch, (0.5, 1, 2), repeats=2)
    assert len({item.key for item in items}) == len(items)
    first = [item for item in items if item.repeat == 0]
    assert first[0].arch == arch
    assert {item.notes["axis"] for item in first} == {"base", *MIXES}
    assert len(items) == 2 * len(first)


def test_trade_offs_are_measured_and_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    argv = ["--arch", SMALL, "--measure", "--factors", "1,2,4", "--seeds", "1", *QUICK]
    assert scale.main([*argv, "--plot", "t.html"]) == 0
    assert "4 times the FLOPs" in capsys.readouterr().out
    stored = open_study("sqlite:///results/nas.db", "scale-own-fashion-subset")
    done = stored.complete()
    assert len(done) == 9
    assert {c.attrs["axis"] for c in done} == {"base", *MIXES}
    assert len({c.seed for c in done}) == 1  # one seed for all: differences are the networks'
    found = curves(stored, done[0].arch)
    assert [curve.axis for curve in found] == list(MIXES)
    assert all(len(curve.flops) == 3 and list(curve.flops) == sorted(curve.flops) for curve in found)
    ranking = verdict(found, 2, stored.cost_of(done[0].arch).flops)
    assert [r["accuracy"] for r in ranking] == sorted((r["accuracy"] for r in ranking), reverse=True)
    lines = trade_offs.data(stored, done[0].arch).lines
    assert all(line.low[i] <= line.high[i] for line in lines for i in range(len(line.grid)))
    assert Path("t.html").is_file()
    assert scale.main(argv) == 0
    assert len(open_study("sqlite:///results/nas.db", "scale-own-fashion-subset").candidates()) == 9
    fitted = ask(capsys, "--arch", SMALL, "--fit", "5MFLOPs", "--along", "measured")
    assert fitted["mix"]["label"] == "measured"  # type: ignore[index]
