"""What the pages say in numbers, label by label, against the study and the exact cost."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from random import Random

import pytest

from dashboard.app import create
from dashboard.pages import trials
from dashboard.studies import Row, Studies, Study
from nas.words import short
from search_spaces import Cost, cost, ledger, zoo
from tests.dashboard.asking import Client, lines, pairs
from tests.dashboard.studying import feasible, make, running
from tests.dashboard.test_callbacks import PICKED, VERSION


@pytest.fixture
def row(study: Study) -> Row:
    """The trial that is picked."""
    return next(r for r in study.rows if r.number == PICKED["trial"])


def counted(own: Cost) -> list[str]:
    return [short(own.flops), short(own.macs), short(own.params)]


def percent(accuracy: float | None) -> str:
    assert accuracy is not None
    return f"{100 * accuracy:.2f} %"


def test_a_trial(client: Client, row: Row) -> None:
    own = cost(row.arch, 3, 1000)
    assert pairs(client("detail.children", picked=PICKED)) == {
        "Validation accuracy": percent(row.accuracy),
        "Trained on": "fashion-subset at 32 px",
        "Took": "18 s",
        "Seed": "3",
        **dict(zip(("FLOPs", "MACs", "Parameters"), counted(own), strict=True)),
        "Size in fp32": f"{own.params * 4 / 1e6:.4g} MB",
        "Activations": short(own.activations),
        "Peak activations": f"{short(own.peak_activations)}, {own.peak_activations * 4 / 1e6:.3g} MB in fp32",
        "Blocks": str(row.arch.depth),
        "Stages": str(len(row.arch.stages)),
    }


def test_a_failed_trial(client: Client, study: Study) -> None:
    told = pairs(client("detail.children", picked={"study": "toy", "trial": 7}))
    assert told["Reason"] == f"{study.rows[7].reason} – loss nan within 640 samples"
    assert "Validation accuracy" not in told


def test_the_cost_of_each_block(client: Client, row: Row) -> None:
    heads, *body = lines(client("detail.children", picked=PICKED), "Not counted")
    assert heads == ["Block", "In → out", "FLOPs", "Share", "MACs", "Params", "Activations", "Not counted"]
    blocks = [part.cost for part in ledger(row.arch, 3, 1000)]
    whole = cost(row.arch, 3, 1000)
    *shown, total = [cells[2:7] for cells in body if len(cells) == len(heads)]
    assert shown == [
        [short(own.flops), f"{100 * own.flops / whole.flops:.1f} %", *counted(own)[1:], short(own.activations)]
        for own in blocks
    ]
    assert total == [short(whole.flops), "100 %", *counted(whole)[1:], short(whole.activations)]


def test_the_front(client: Client, study: Study) -> None:
    answer = client("front-about.children", version=VERSION, front_metric="flops")["front-list"]
    columns = study.columns("flops")

    def named(r: Row) -> str:
        return f"Trial {r.number}" + "best" * (r == study.best)

    assert lines(answer, "Network") == [
        ["Network", "Accuracy", "FLOPs", "MACs", "Params", "Input", "Blocks"],
        *(
            [named(r), percent(r.accuracy), *counted(cost(r.arch)), "224 px", str(r.arch.depth)]
            for r in (columns.rows[i] for i in reversed(columns.front))
        ),
    ]


def test_the_grid_of_trials(client: Client, study: Study, row: Row) -> None:
    shown = client("trials-grid.rowData", version=VERSION)["trials-grid"]["rowData"][row.number]
    own = cost(row.arch)
    heads = {column["field"]: column["headerName"] for column in trials.grid([study]).columnDefs}
    told = {heads[field]: value for field, value in shown.items() if field in heads}
    assert (told.pop("State"), told.pop("Study")) == ("complete", "toy")
    assert told == pytest.approx(
        {
            "Trial": 3, "Accuracy %": 100 * (row.accuracy or 0), "FLOPs (M)": own.flops / 1e6,
            "MACs (M)": own.macs / 1e6, "Params (M)": own.params / 1e6, "Activations (M)": own.activations / 1e6,
            "Peak act. (M)": own.peak_activations / 1e6,
            "Blocks": row.arch.depth, "Input (px)": 224, "Took (s)": 18,
        },
        rel=1e-3,
    )  # fmt: skip


def test_the_saved_trials(client: Client, row: Row) -> None:
    answer = client("trials-csv.data", "trials-save.n_clicks", trials_save=1, version=VERSION)
    saved = list(csv.DictReader(io.StringIO(answer["trials-csv"]["data"]["content"])))[row.number]
    own = cost(row.arch)
    costs = ("flops", "macs", "params", "activations", "peak_activations")
    assert saved == {
        "study": "toy", "trial": "3", "state": "complete", "accuracy": str(row.accuracy), "seconds": "18.0",
        "reason": "", "latency_ms": "", "arch": str(row.arch), **{name: str(getattr(own, name)) for name in costs},
    }  # fmt: skip


def test_compared_networks(client: Client) -> None:
    names = ["zoo/mobilenet_v2", "zoo/mnasnet1_0"]
    answer = client("networks-shown.children", networks_chosen=names)
    first, other = (cost(zoo.find(name.removeprefix("zoo/")).arch) for name in names)
    told = {label: cells for label, *cells in lines(answer["networks-shown"], "Size in fp32")}
    labels = {"FLOPs": "flops", "MACs": "macs", "Parameters": "params", "Activations": "activations"}
    labels |= {"Peak memory (elements)": "peak_activations"}
    for label, name in labels.items():
        one, two = getattr(first, name), getattr(other, name)
        assert told[label] == [short(one), f"{short(two)} {two / one:.2f}×"]


def test_the_space(client: Client) -> None:
    fits = feasible()
    ends = [fits.lattice.extreme("flops", sign)[1].flops for sign in (1, -1)]
    assert ends[0] < ends[1]
    told = pairs(client("space-about.children", version=VERSION))
    assert [told["Cheapest"], told["Dearest"]] == [f"{short(flops)} FLOPs" for flops in ends]
    assert told["Networks"] == f"{fits.space.size():,}"
    assert (told["Budget"], told["Input"]) == ("300MFLOPs", "224 px")
    assert told["Within the budget"] == "between {:.2f} and {:.2f} %".format(*(100 * bound for bound in fits.share()))
    assert told["Choices"] == str(len(fits.space.holes))


def test_a_search_as_it_runs(tmp_path: Path) -> None:
    """One trial in ten failed, each of 18 s and begun 20 s after the one before."""
    stored = make(tmp_path, 10)
    number = running(stored, Random(1), points=2)
    flops = stored.study.trials[number].user_attrs["cost"]["flops"]
    client = Client(create(Studies([f"sqlite:///{tmp_path / 'nas.db'}"]), tmp_path))
    answer = client("live-facts.children", version=VERSION)
    done = stored.candidates()[:10]
    assert pairs(answer["live-facts"]) == {
        "Trained": "9", "Failed": "1", "Running": "1", "Best accuracy": percent(max(c.accuracy or 0 for c in done)),
        "Pace": f"{36000 / (9 * 20 + 18):.0f} an hour", "Mean time": "18 s", "Proposals": "40", "Repaired to fit": "20",
    }  # fmt: skip
    assert lines(answer["live-failures"], "Reason")[1:] == [[done[7].reason, "1", "10.0 %", "trial 7"]]
    assert lines(answer["live-latest"], "Network")[1:] == [
        [f"Trial {c.number}", c.state, percent(c.accuracy) if c.accuracy else "–", short(cost(c.arch).flops), "18 s"]
        for c in reversed(done)
    ]
    heads, cells = lines(client("live-running.children", version=VERSION)["live-running"], "In flight")
    told = dict(zip(heads, cells, strict=True))
    assert (told["In flight"], told["FLOPs"]) == (f"Trial {number}", short(flops))
    assert (told["Accuracy so far"], told["Mean of a trial"]) == ("57.40 %", "18 s")
