"""The scaling page: its figures' data, its callbacks through the server, and how fast it follows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from math import isnan
from pathlib import Path
from typing import Any

import pytest

from dashboard.app import create
from dashboard.figures import contours, family, measured
from dashboard.pages import scaling
from dashboard.parts import laws, scaled
from dashboard.studies import Studies
from nas.figures import trade_offs
from nas.power_law import RESAMPLES
from search_spaces import Arch, cost, zoo
from search_spaces.scaling import compound, scale
from tests.dashboard.asking import Client
from tests.dashboard.studying import make, measure, text
from tests.dashboard.test_callbacks import VERSION, said

ARCH = Arch.parse(text())
B0 = "zoo/efficientnet_b0"


@pytest.fixture
def grown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Client, Studies]]:
    """A dashboard on a search and on a study that measured scaling; few resamples, for speed."""
    assert RESAMPLES > 8
    monkeypatch.setattr("nas.power_law.RESAMPLES", 8)
    make(tmp_path, 6)
    measure(tmp_path)
    studies = Studies([f"sqlite:///{tmp_path / 'nas.db'}"])
    yield Client(create(studies, tmp_path)), studies
    laws._LAWS.clear()


def shown(client: Client, at: Any, network: str = B0, typed: str = "") -> dict[str, Any]:
    return client("scaling-costs.children", scaling_at=at, scaling_network=network, scaling_text_settled=typed)


def test_contours_are_counts_of_whole_networks_and_are_read_once() -> None:
    found = contours.data(ARCH)
    assert contours.data(ARCH) is found
    for i, j in ((0, 0), (10, 20), (32, 32)):
        there = scale(ARCH, found.depth[j], found.width[i])
        assert found.times[i][j] == pytest.approx(cost(there).flops / cost(ARCH).flops)
    drawn = contours.plot(found, (2.0, 1.5))
    assert (drawn.data[contours.MARKER].x, drawn.data[contours.MARKER].y) == ((2.0,), (1.5,))


def test_contours_are_labelled_where_they_run() -> None:
    found = contours.data(zoo.find("mobilenet_v2").arch)
    labels = contours.labels(found)
    assert {1, 2, 4} <= {level for level, _, _ in labels}
    for level, depth, width in labels:
        own = cost(scale(zoo.find("mobilenet_v2").arch, depth, width)).flops / found.flops
        assert own == pytest.approx(level, rel=0.15)


def test_the_marker_never_leaves_the_figure() -> None:
    for at in ((0.25, 4.0), (4.0, 0.25), (1.0, 1.0)):
        for place, (low, high) in zip(at, contours.reach(at), strict=True):
            assert 10**low < place < 10**high


def test_the_guide_is_what_was_published() -> None:
    members = family.data()
    assert [m.name for m in members] == [f"B{i}" for i in range(8)]
    assert members[3].top1 == zoo.find("efficientnet_b3").published.top1
    assert [m.macs for m in members] == [zoo.find(f"efficientnet_b{i}").cost.macs for i in range(8)]
    for member in members:  # the printed factors are the rule's, rounded
        ideal = 224 * scaling.GAMMA**member.phi
        assert member.resolution == pytest.approx(ideal, rel=0.05)
    assert not family.plot(members).data[1].x
    assert family.plot(members, 2e9).data[1].x == (2.0, 2.0)


def test_costs_shapes_and_drawing_follow_the_sliders(client: Client) -> None:
    answer = shown(client, [1.2, 1.1, 1.15])
    scaled = compound(zoo.find("efficientnet_b0").arch, 1)
    own, before = cost(scaled), zoo.find("efficientnet_b0").cost
    words = said(answer["scaling-costs"])
    assert f"{own.flops / 1e6:.4g}M" in words
    assert f" {own.flops / before.flops:.2f}×" in words
    assert f"{scaled.resolution} px" in words
    assert f"{scaled.depth} blocks" in answer["scaling-sum"]["children"]
    bars = [t for t in answer["scaling-drawing"]["figure"]["data"] if "base" in t]
    assert sum(len(t["x"]) for t in bars) == scaled.depth + 2
    assert str(scaled) in said(answer["scaling-form"])
    assert answer["scaling-wrong"]["children"] == ""
    line = answer["scaling-family"]["figure"]["data"][1]
    assert line["x"] == [own.flops / 1e9] * 2


@pytest.mark.parametrize("at", [None, [1, 1, 1], "x", [1, 1], [None, "1", float("nan")]])
def test_without_sliders_it_is_the_network_itself(client: Client, at: Any) -> None:
    assert str(zoo.find("efficientnet_b0").arch) in said(shown(client, at)["scaling-form"])


def test_factors_from_a_browser_stay_within_the_sliders() -> None:
    assert scaled.factors([1e9, -3, 0]) == (scaled.HIGH, scaled.LOW, scaled.LOW)


def test_a_network_that_cannot_be_gets_a_sentence(client: Client) -> None:
    answer = shown(client, [1, 1, 4], typed=text().replace("r32", "r2000"))
    assert "There is no such network: a resolution is at most" in answer["scaling-wrong"]["children"]
    assert answer["scaling-costs"]["children"] is None
    assert answer["scaling-sum"]["children"] == ""
    answer = shown(client, [1, 1, 1], typed="r32 | conv_stm(width=8)")
    assert "conv_stem" in answer["scaling-wrong"]["children"]
    for name in ("zoo/../x", "toy/99999", "x", ""):
        assert "Choose a network" in shown(client, [1, 1, 1], network=name)["scaling-wrong"]["children"]


def test_a_typed_network_and_one_of_a_study_scale_too(client: Client) -> None:
    assert str(scale(ARCH, 2)) in said(shown(client, [2, 1, 1], typed=text())["scaling-form"])
    offered = client("scaling-network.options", version=VERSION)["scaling-network"]["options"]
    name = offered[0]["value"]
    assert (
        f"trial {name.rpartition('/')[2]} of toy" in shown(client, [1, 1, 1], network=name)["scaling-about"]["children"]
    )


def test_the_grid_is_laid_once_and_then_only_the_marker_moves(client: Client) -> None:
    answer = client("scaling-marginal.children", scaling_network="zoo/mobilenet_v2", scaling_at=[2, 1.5, 1])
    grid = answer["scaling-grid"]["data"]
    assert grid == str(zoo.find("mobilenet_v2").arch)
    assert answer["scaling-contours"]["figure"]["data"][contours.MARKER]["x"] == [2]
    assert "+1.99 %" in said(answer["scaling-marginal"])
    moved = client("scaling-contours-said.children", scaling_at=[0.5, 4, 1], scaling_grid=grid)
    change = moved["scaling-contours"]["figure"]
    assert change["__dash_patch_update"]
    where = {tuple(op["location"]): op["params"]["value"] for op in change["operations"]}
    assert where["data", contours.MARKER, "x"] == [0.5]
    assert where["data", contours.MARKER, "y"] == [4]
    assert len(said(moved)) < 1000
    assert "scaling-contours" not in client("scaling-contours-said.children", scaling_at=[1, 1, 1])


def test_marginal_costs_that_cannot_be_told_are_said_so(client: Client) -> None:
    answer = client("scaling-marginal.children", scaling_text_settled=text().replace("r32", "r3000"))
    assert "which cannot be" in said(answer["scaling-marginal"])


def test_measured_curves_are_those_of_the_engine(grown: tuple[Client, Studies]) -> None:
    client, studies = grown
    answer = client("scaling-study.options", version={"toy": "any"})
    assert answer["scaling-study"]["value"] == "grown/0"
    assert answer["scaling-unmeasured"]["children"] == ""
    answer = client("scaling-measured.figure", scaling_study="grown/0", version={"toy": "any"})
    found = trade_offs.data(studies.get(["grown"])[0].stored, ARCH)
    drawn = {(t["name"], t["mode"]): t for t in answer["scaling-measured"]["figure"]["data"] if "opacity" not in t}
    for line in found.lines:
        assert drawn[line.axis, "markers"]["y"] == pytest.approx([100 * a for a in line.accuracy], abs=0.006)
        assert drawn[line.axis, "lines"]["x"] == list(line.grid)
    assert {line.axis for line in found.lines} >= {"depth", "width", "compound"}
    assert "At twice the FLOPs" in said(answer["scaling-verdict"])
    assert not any(isnan(y) for t in drawn.values() for y in t["y"])


def test_without_measurements_a_sentence_says_what_makes_them(client: Client) -> None:
    answer = client("scaling-study.options", version=VERSION)
    assert "nas.scale --zoo NAME --measure" in answer["scaling-unmeasured"]["children"]
    assert answer["scaling-curves"]["hidden"] is True
    for key in (None, "grown/0", "toy/0", "toy/x"):
        assert client("scaling-measured.figure", scaling_study=key)["scaling-trained"]["children"] == ""
    measured.plot(None)


@pytest.mark.parametrize("name", ["mobilenet_v2", "efficientnet_b0", "efficientnet_b7", "densenet121"])
def test_the_server_follows_a_slider_within_100_ms(client: Client, name: str) -> None:
    shown(client, [1, 1, 1], f"zoo/{name}")
    times = []
    for phi in (0.7, 1.3, 1.9):  # networks that were never seen
        begin = time.process_time()  # whatever else the machine does
        shown(client, [1.2**phi, 1.1**phi, 1.15**phi], f"zoo/{name}")
        times.append(time.process_time() - begin)
    assert min(times) < 0.1
