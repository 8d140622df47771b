"""Every callback, as a browser calls it."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from random import Random
from typing import Any

import pytest
from safetensors.torch import load

from dashboard import pages
from dashboard.app import create
from dashboard.figures import front
from dashboard.studies import Studies, Study
from search_spaces import zoo
from tests.dashboard.asking import HEADERS, Client
from tests.dashboard.studying import grow, make, running, text

VERSION = {"toy": "any"}
PICKED = {"study": "toy", "trial": 3}


def said(answer: Any) -> str:
    """All words of an answer."""
    return json.dumps(answer, ensure_ascii=False)


@pytest.mark.parametrize("page", [page.PATH for page in pages.pages()])
def test_every_page_is_laid_out(client: Client, page: str) -> None:
    answer = client("content.children", ready=page, version=VERSION)
    assert answer["content"]["children"]["props"]["className"].startswith("page")
    links = client("nav.children", url=page)["nav"]["children"]
    assert [a["props"]["href"] for a in links if a["props"]["className"]] == [page]


def test_an_address_that_no_page_has_says_so(client: Client) -> None:
    assert "no such page" in said(client("content.children", ready="/../etc/passwd"))


def test_the_newest_study_is_chosen_at_first_and_then_nothing_changes(client: Client) -> None:
    first = client("chosen.options", "tick.n_intervals")
    version = first["version"]["data"]
    assert first["chosen"]["value"] == ["toy"]
    assert list(version) == ["toy"]
    options = first["chosen"]["options"]
    again = client(
        "chosen.options", "tick.n_intervals", tick=1, chosen__value=["toy"], chosen__options=options, version=version
    )
    assert again == {}


def test_an_address_names_a_study_and_a_trial(client: Client) -> None:
    answer = client("picked.data", "url.search", url__search="?study=toy&trial=5", version=VERSION)
    assert answer["picked"]["data"] == {"study": "toy", "trial": 5}
    for bad in ("?study=toy&trial=x", "?trial=1", "?study=nowhere"):
        answer = client("picked.data", "url.search", url__search=bad, version=VERSION)
        assert answer["picked"]["data"]["study"] == "toy", "the best one is open"


def drawn(client: Client, **more: Any) -> dict[str, Any]:
    return client(
        "front-figure.figure", "version.data", version=VERSION, front_metric="flops", front_backdrop=[], **more
    )


def test_front_draws_all_then_only_what_is_new(tmp_path: Path) -> None:
    stored = make(tmp_path, 12)
    studies = Studies([f"sqlite:///{tmp_path / 'nas.db'}"])
    client = Client(create(studies, tmp_path))
    first = drawn(client)
    seen = first["front-seen"]["data"]
    assert len(first["front-figure"]["figure"]["data"]) == len(front.KINDS)
    assert drawn(client, front_seen=seen) == {"front-seen": {"data": seen}}

    grow(stored, range(12, 13), Random(5))
    studies.look()["toy"]._read = 0
    answer = drawn(client, front_seen=seen)
    change = answer["front-figure"]["figure"]
    assert change["__dash_patch_update"]
    extended = [op for op in change["operations"] if op["operation"] == "Extend"]
    assert {tuple(op["location"]) for op in extended} == {("data", 0, name) for name in ("x", "y", "customdata")}
    assert [op["params"]["value"] for op in extended if op["location"][-1] == "customdata"] == [["0:12"]]
    assert len(said(answer)) < 20_000


def test_front_tells_in_words_and_lists_its_networks(client: Client, study: Study) -> None:
    answer = client("front-about.children", version=VERSION, front_metric="params")
    columns = study.columns("params")
    assert f"{len(columns.front)} networks on the front" in answer["front-figure-said"]["children"]
    assert answer["front-about"]["children"] == "mobile within 300MFLOPs, on fashion-subset: 38 trained, 2 failed"
    for i in columns.front:
        assert f"Open trial {columns.rows[i].number} of toy" in said(answer["front-list"])


def test_a_click_on_a_point_opens_it_and_a_lasso_selects(client: Client) -> None:
    points = {"points": [{"customdata": "0:17"}, {"customdata": "0:4"}, {"customdata": "9:1"}, {"x": 1}]}
    clicked = client("selection.data@", "front-figure.clickData", front_figure__clickData=points, version=VERSION)
    assert clicked["picked"]["data"] == {"study": "toy", "trial": 17}
    chosen = client("selection.data@", "front-figure.selectedData", front_figure__selectedData=points, version=VERSION)
    assert chosen["selection"]["data"] == {"toy": [4, 17]}


@pytest.mark.parametrize("trial", [3, 7])
def test_a_trial_is_shown_in_full(client: Client, study: Study, trial: int) -> None:
    answer = said(client("detail.children", picked={"study": "toy", "trial": trial}))
    row = next(r for r in study.rows if r.number == trial)
    assert str(row.arch).split(" | ")[2] in answer
    assert "Cost of each block" in answer
    assert ("loss nan" in answer) == (trial == 7)
    assert ("Learning curve" in answer) == (trial == 3)


@pytest.mark.parametrize(
    "picked", [None, {}, {"study": "../x", "trial": 1}, {"study": "toy", "trial": 99}, {"study": 3}]
)
def test_what_is_not_there_is_not_shown(client: Client, picked: Any) -> None:
    assert "Choose a trial" in said(client("detail.children", picked=picked))


def test_the_grid_gets_all_rows_then_only_new_ones(client: Client, study: Study) -> None:
    answer = client("trials-grid.rowData", version=VERSION)
    rows = answer["trials-grid"]["rowData"]
    assert [r["n"] for r in rows] == [r.number for r in study.rows]
    assert rows[7] == {k: v for k, v in rows[7].items() if k != "a"}, "a failed trial has no accuracy"
    seen = answer["trials-seen"]["data"]
    seen["toy"][1] -= 2
    answer = client("trials-grid.rowData", version=VERSION, trials_seen=seen)
    assert [r["n"] for r in answer["trials-grid"]["rowTransaction"]["add"]] == [38, 39]


def test_parallel_coordinates_select_in_the_grid(client: Client) -> None:
    answer = client("trials-lines.figure", version=VERSION)
    assert answer["trials-lines"]["figure"]["data"][0]["type"] == "parcoords"
    drawn_already = answer["trials-drawn"]["data"]
    assert client("trials-lines.figure", version=VERSION, trials_drawn=drawn_already) == {}
    labels = [d["label"] for d in answer["trials-lines"]["figure"]["data"][0]["dimensions"]]
    change = [{f"dimensions[{labels.index('Blocks')}].constraintrange": [[0, 100]]}, [0]]
    answer = client("trials-grid.selectedRows", "trials-lines.restyleData", trials_lines=change, version=VERSION)
    assert len(answer["trials-grid"]["selectedRows"]["ids"]) == 38
    answer = client("trials-grid.selectedRows", "trials-clear.n_clicks", trials_clear=1, version=VERSION)
    assert answer["trials-grid"]["selectedRows"] == []


def test_trials_are_saved_as_shown_with_exact_numbers(client: Client, study: Study) -> None:
    shown = [{"study": "toy", "n": 5}, {"study": "toy", "n": 2}, {"study": "elsewhere", "n": 1}]
    answer = client("trials-csv.data", "trials-save.n_clicks", trials_save=1, trials_grid=shown, version=VERSION)
    lines = answer["trials-csv"]["data"]["content"].splitlines()
    assert [line.split(",")[1] for line in lines] == ["trial", "5", "2"]
    assert str(next(r for r in study.rows if r.number == 5).cost.flops) in lines[1]


def test_networks_are_compared_and_mistakes_are_shown_in_place(client: Client) -> None:
    offered = client("networks-chosen.options", version=VERSION)["networks-chosen"]["options"]
    papers = [option for option in offered if option["value"].startswith("zoo/")]
    assert len(papers) == len(zoo.names())
    assert offered[0]["value"].startswith("toy/")
    assert offered[-len(papers) :] == papers
    chosen = ["zoo/mobilenet_v2", "toy/3", "zoo/../x", "nowhere/4"]
    answer = client("networks-shown.children", networks_chosen=chosen, networks_text_settled=text())
    words = said(answer["networks-shown"])
    assert "314.2M" in words
    assert "toy trial 3" in words
    assert "typed" in words
    answer = client("networks-shown.children", networks_chosen=[], networks_text_settled="r32 | conv_stm(width=8)")
    assert "conv_stem" in answer["networks-wrong"]["children"]
    assert "Choose a network" in said(answer["networks-shown"])


def test_the_space_is_told_exactly(client: Client) -> None:
    words = said(client("space-about.children", version=VERSION))
    assert "Within the budget" in words
    answer = client("space-part.options", version=VERSION, space_part="stem")
    assert answer["space-part"]["value"] == "stem"
    assert "options were tried" in answer["space-gaps"]["children"]
    assert client("space-part.options", version={})["space-part"]["options"] == []


def test_live_shows_what_runs_and_what_failed(tmp_path: Path) -> None:
    stored = make(tmp_path, 10)
    number = running(stored, Random(1))
    client = Client(create(Studies([f"sqlite:///{tmp_path / 'nas.db'}"]), tmp_path))
    assert f"Trial {number}" in said(client("live-running.children", version=VERSION))
    answer = client("live-facts.children", version=VERSION)
    assert '"Failed"' in said(answer["live-facts"])
    assert any(reason in said(answer["live-failures"]) for reason in ("diverged", "out of memory"))


def test_weights_alone_are_a_download_too(client: Client, study: Study) -> None:
    trigger = '{"format":"weights","type":"export"}.n_clicks'
    one = {"id": {"format": "weights", "type": "export"}, "property": "n_clicks", "value": 1}
    answer = client("export-said.children", trigger, each=[one], picked=PICKED)
    got = client.http.get(answer["export-go"]["data"], headers=HEADERS)
    assert "toy-trial-3.safetensors" in got.headers["Content-Disposition"]
    candidate = study.candidate(3)
    assert candidate is not None
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    learned = sum(value.numel() for name, value in load(got.data).items() if not name.endswith(statistics))
    got.close()
    assert learned == candidate.cost.params


def test_an_export_is_a_download_and_nothing_else_is(client: Client, tmp_path: Path) -> None:
    trigger = '{"format":"python_module","type":"export"}.n_clicks'
    one = {"id": {"format": "python_module", "type": "export"}, "property": "n_clicks", "value": 1}
    answer = client("export-said.children", trigger, each=[one], picked=PICKED)
    assert "freshly initialised" in said(answer["export-said"])
    address = answer["export-go"]["data"]
    got = client.http.get(address, headers=HEADERS)
    archive = zipfile.ZipFile(io.BytesIO(got.data))
    assert archive.namelist() == ["network.json", "network.md", "network.py", "network.safetensors"]
    told = json.loads(archive.read("network.json"))["provenance"]
    assert (told["study"], told["trial"]) == ("toy", 3)
    assert "attachment" in got.headers["Content-Disposition"]
    got.close()
    for path in ("/export/x", "/export/../../etc/passwd", "/export/%2e%2e%2fpasswd", "/assets/../app.py"):
        refused = client.http.get(path, headers=HEADERS)
        assert "Content-Disposition" not in refused.headers
        assert "root:" not in refused.text
    assert all(file.is_relative_to(tmp_path) for file in tmp_path.rglob("*"))


def test_without_any_study_every_callback_answers(tmp_path: Path) -> None:
    client = Client(create(Studies([f"sqlite:///{tmp_path / 'none.db'}"]), tmp_path))
    answer = client("chosen.options", "tick.n_intervals")
    assert "There is no storage" in said(answer["problems"])
    assert not (tmp_path / "none.db").exists()
    drawn(client)
    outputs = ("front-about.children", "trials-grid.rowData", "trials-lines.figure", "space-about.children")
    for output in (
        *outputs,
        "space-part.options",
        "live-facts.children",
        "live-running.children",
        "networks-chosen.options",
    ):
        client(output, version={}, front_metric="flops")
