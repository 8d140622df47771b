"""Tables are built, checked, drawn and used."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from nas import session
from nas.errors import UserError
from nas.latency import __main__ as command
from nas.latency import build as building
from nas.latency import pace as pacing
from nas.latency import rates, table
from nas.latency.budgets import within
from nas.latency.build import Deployed
from nas.latency.check import check
from nas.latency.measure import Noisy, Plan
from nas.latency.pace import Pace
from nas.latency.predictor import Predictor
from nas.latency.setting import Setting, Subject, keys
from nas.latency.table import Table, Whole
from search_spaces.arch import Arch
from search_spaces.budget import Budget
from tests.nas.latency.made import CPU, MACHINE, Clock, priced, scripted
from tests.search_spaces.small import CLASSES, SMALL, written_out


class Additive:
    """A backend whose parts take what `price` says, on a clock of its own; nothing is really run."""

    def __init__(self, clock: Clock, price: dict[str, float]) -> None:
        self.clock, self.price, self.speed = clock, price, 1.0

    def version(self) -> str:
        return "additive 1"

    def prepare(self, subject: Subject, setting: Setting, trace: bool = False) -> Any:
        return _Run(self, [self.price[key] for key in subject.keys])


class _Run:
    def __init__(self, owner: Additive, parts: list[float]) -> None:
        self.owner, self.parts, self.count = owner, parts, 0

    def __call__(self) -> None:
        self.count += 1
        took = self.owner.speed * (0.5 + sum(self.parts)) / 1e3
        self.owner.clock.wall, self.owner.clock.busy = self.owner.clock.wall + took, self.owner.clock.busy + took

    def parts_ms(self) -> list[list[float]]:
        return [[self.owner.speed * each for each in self.parts]] * self.count


@pytest.fixture
def additive(monkeypatch: pytest.MonkeyPatch) -> Additive:
    clock = scripted(monkeypatch)
    found = Additive(clock, priced("flat").parts)
    monkeypatch.setattr(building, "find", lambda setting: found)
    monkeypatch.setattr("nas.latency.backends.find", lambda setting: found)
    return found


def test_a_table_of_an_additive_device_predicts_it_exactly(additive: Additive) -> None:
    deployed = Deployed(SMALL["flat"], 3, CLASSES)
    *_, found = building.extended(building.new_table(CPU), deployed, seed=0, note=lambda text: None)
    assert found.parts == pytest.approx(additive.price, abs=1e-6)
    assert (found.scale, found.constant_ms) == (pytest.approx(1, abs=1e-4), pytest.approx(0.5, abs=1e-3))
    assert found.trust == 1
    pace, _ = building.pace_of(found, additive, deployed, building.EACH)
    unseen = list(building.wholes(additive, CPU, deployed, 12, Random("other"), building.EACH, pace))
    said = check(found, unseen)
    assert said.spearman > 0.999
    assert said.largest_error < 1e-3
    assert said.estimated == 0


def test_a_machine_that_changes_its_speed_leaves_the_table_as_it_was(
    additive: Additive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slower and faster between measurements, steady during each: what is told is at one pace."""
    deployed = Deployed(SMALL["flat"], 3, CLASSES)
    *_, steady = building.extended(building.new_table(CPU), deployed, seed=0, note=lambda text: None)
    speeds = Random(1)

    def paced(self: Pace, timed: Any) -> Any:
        additive.speed = speeds.choice((0.5, 1.0, 1.0, 1.0, 2.0))
        return around(self, timed)

    around = Pace.around
    monkeypatch.setattr(Pace, "around", paced)
    monkeypatch.setattr(pacing, "PATIENCE_S", 0.0)
    *_, found = building.extended(building.new_table(CPU), deployed, seed=0, note=lambda text: None)
    assert found.parts == pytest.approx(steady.parts, rel=1e-3)
    assert found.scale == pytest.approx(1, abs=1e-2)
    assert found.reference is not None


def test_what_was_timed_while_the_pace_changed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = scripted(monkeypatch, (10, 10))
    pace = Pace(clock, Plan(warmup=0), own_thread=True)
    assert pace.around(lambda: "timed") == ("timed", pytest.approx(10))
    clock.script = iter([(10, 10)] * 5 + [(12, 12)] * 5)
    with pytest.raises(Noisy, match="a network took 10 ms before and 12 ms after"):
        pace.around(lambda: None)


def test_the_usual_pace_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing.time, "sleep", lambda seconds: None)
    clock = scripted(monkeypatch, (10, 10))
    clock.script = iter([(20, 20)] * 15 + [(11, 11)] * 100)
    pace = Pace(clock, Plan(warmup=0), own_thread=True, usual_ms=10)
    assert pace.around(lambda: "timed") == ("timed", pytest.approx(11))
    assert pace.range == (pytest.approx(1.1), pytest.approx(2))


def test_entries_are_drawn_towards_the_rates_as_far_as_they_are_not_trusted() -> None:
    arch = Arch.parse("r32 | conv_stem(width=8) | bottleneck c8 | pool_head")
    made = dict.fromkeys(rates.FEATURES, 1.0)
    entries = dict.fromkeys(keys(arch, 3, 10), 0.3)
    found = Table(CPU, MACHINE, "2026", entries, rates=made)
    each = [rates.estimate_ns(made, layer, shape) / 1e6 for _, layer, shape in Subject.of(arch, 3, 10).placed()]
    for trust in (1.0, 0.5, 0.0):
        said = Predictor(replace(found, trust=trust))(arch, 3, 10)
        assert said.ms == pytest.approx(sum(0.3**trust * ms ** (1 - trust) for ms in each), rel=1e-4)
        assert said.estimated == 0


def test_the_command_builds_checks_and_a_budget_uses_the_table(
    additive: Additive, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from nas import cli

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "chosen_space", lambda name, resolution: SMALL["flat"])
    tail = ["--space", "flat", "--num-classes", str(CLASSES)]
    assert command.main([*tail, "--build", "toy", "--plot", "plot.html"]) == 0
    first = table.read("toy")
    assert (tmp_path / "plot.html").stat().st_size > 1000
    assert command.main([*tail, "--check", "toy", "--networks", "8", "--json"]) == 0
    assert command.main([*tail, "--build", "toy"]) == 0  # nothing is missing: only whole networks are added
    again = table.read("toy")
    assert again.parts == first.parts
    assert len(again.networks) == 2 * len(first.networks)
    assert first.fingerprint != again.fingerprint == table.read("toy").fingerprint
    assert command.main(["--show", "toy"]) == 0
    with pytest.raises(UserError, match="a table grows on the machine and by the setting it began with"):
        command.main([*tail, "--build", "toy", "--threads", "2"])
    feasible = within(SMALL["flat"], Budget.parse("3ms@toy, 1G"), 3, CLASSES)
    assert session.priced(feasible) == {"latency_table": again.fingerprint}
    _, its_cost = feasible.draw(Random(0))
    assert its_cost.latency_ns <= 3_000_000  # type: ignore[attr-defined]
    said = capsys.readouterr().out
    assert "GFLOPs a second" in said
    assert "rates_alone" in said
    assert json.loads(said[said.index("{") : said.rindex("}") + 1])["median_error"] < 1e-3


def test_the_figure_groups_blocks_by_family_and_knows_its_ends() -> None:
    from nas.figures.latency import data, plot, told
    from search_spaces.cost import cost

    texts = sorted(map(str, written_out("flat")))[:20]
    found = data(
        replace(priced("flat"), networks=tuple(Whole(text, 3, CLASSES, 1 + i) for i, text in enumerate(texts)))
    )
    assert {family.name for family in found.families} == {"inverted_residual", "fire"}
    assert sum(len(f.members) for f in found.families) == sum(
        "head" not in k and "stem" not in k for k in priced("flat").parts
    )
    rates_ = [cost(Arch.parse(text), 3, CLASSES).flops / 1e6 / (1 + i) for i, text in enumerate(texts)]
    slow, fast = found.ends
    assert (slow.gflops_a_second, fast.gflops_a_second) == (pytest.approx(min(rates_)), pytest.approx(max(rates_)))
    assert (slow.arch, fast.arch) == (texts[rates_.index(min(rates_))], texts[rates_.index(max(rates_))])
    assert slow.mflops / slow.ms == pytest.approx(slow.gflops_a_second)
    assert [row[0] for row in found.rows] == [f.name for f in found.families] + ["whole networks"]
    assert any(slow.arch in line for line in told(found))
    assert len(plot(found).data) == 3


def test_the_command_says_what_is_missing() -> None:
    for argv, said in (
        ([], "something must be timed"),
        (["--space", "mobile"], "goes --build TABLE or --check TABLE"),
        (["--build", "cpu"], "a table is of a space"),
        (["--zoo", "mobilenet_v2", "--plot", "here.html"], "a plot is of a table"),
        (["--zoo", "mobilenet_v2", "--resolution", "128-224"], "networks are timed at one resolution, such as 160"),
    ):
        with pytest.raises(UserError, match=said):
            command.main(argv)


@pytest.mark.parametrize("spread", ["0", "-1", "nan", "much"])
def test_a_spread_is_a_share(spread: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--zoo", "mobilenet_v2", "--spread", spread])
    assert f"a share of the median above 0 is needed, such as 0.1, but got '{spread}'" in capsys.readouterr().err
