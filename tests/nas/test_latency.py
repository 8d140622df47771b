"""Latency: the network is what is timed, noise is refused, and predictions are exact sums that budgets keep."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from nas import session
from nas.build import build
from nas.errors import UserError
from nas.fold import fold
from nas.latency import __main__ as command
from nas.latency import build as building
from nas.latency import measure as measuring
from nas.latency import pace as pacing
from nas.latency import rates, table
from nas.latency.backends import find as backend
from nas.latency.backends import names as backends
from nas.latency.backends.onnxruntime import _by_part
from nas.latency.budgets import within
from nas.latency.build import Deployed, line
from nas.latency.check import check
from nas.latency.cover import cover
from nas.latency.graph import graph
from nas.latency.measure import Noisy, Plan, measure, passes
from nas.latency.pace import Pace
from nas.latency.predictor import Predictor
from nas.latency.setting import Setting, Subject, keys
from nas.latency.table import Table, Whole
from search_spaces.arch import Arch
from search_spaces.budget import Budget
from search_spaces.errors import BudgetError
from search_spaces.feasible import Feasible
from search_spaces.folding import folded
from search_spaces.layers import Conv, Linear, Shape, chain, concat, conv_norm_act
from search_spaces.spaces import find, names
from tests.search_spaces.small import CLASSES, SMALL, written_out

CPU = Setting()
MACHINE = {"processor": "none", "backend": "none", "python": "3"}

# ------------------------------------------------------------------------------- the network that is timed


@pytest.mark.parametrize("name", names())
def test_the_graph_computes_what_the_folded_module_computes(name: str) -> None:
    import onnxruntime

    arch = find(name).sample(Random(f"graph {name}")).at(64)
    layer, shape = arch.layer(3, 10), Shape(3, 64, 64)
    network = fold(build(arch, num_classes=10).eval(), layer, shape)
    weights = {key: value.numpy() for key, value in network.state_dict().items()}
    model = graph(folded(layer), shape, batch=2, weights=weights)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    (got,) = session.run(None, {"images": images.numpy()})
    with torch.no_grad():
        wanted = network(images).numpy()
    assert np.abs(got - wanted).max() <= 1e-4 * max(1.0, np.abs(wanted).max())


def test_a_pool_that_onnx_lacks_is_said() -> None:
    arch = Arch.parse("r32 | conv_stem(width=8) | bottleneck c8 | spp_head(bins=(1, 3))")
    with pytest.raises(UserError, match="a size that divides the map's, but got 3×3 of 8×16×16"):
        graph(arch.layer(3, 10), Shape(3, 32, 32))


@pytest.mark.parametrize("name", ["eager", "onnxruntime"])
def test_each_part_of_a_running_network_is_timed(name: str) -> None:
    arch = Arch.parse("r32 | conv_stem(width=8) | inverted_residual(se=0.25) c8 n2 | fire c16 s2 | pool_head")
    subject = Subject.of(arch, 3, 10)
    ms = building.parts_ms(backend(Setting(name)), subject, Setting(name), Plan(1, 5, 5.0, clock="cpu"))
    assert len(ms) == len(subject.keys) == 5
    assert all(0 < each < 1e3 for each in ms)


def test_a_profile_is_read_back_onto_parts_and_passes() -> None:
    """The runtime's own nodes belong to the part before them; what runs before the first pass to none."""

    def event(name: str, ts: int, dur: int, cat: str = "Node") -> dict[str, Any]:
        return {"name": name, "ts": ts, "dur": dur, "cat": cat}

    events = [event("model_run", 100, 50, "Session"), event("model_run", 200, 50, "Session"), event("0.x", 10, 5)]
    events += [event("0.conv", 101, 10), event("ReorderOutput_1", 112, 3), event("1.conv", 120, 7)]
    events += [event("0.conv", 201, 20), event("12.conv", 225, 1), event("Reorder", 230, 4)]
    assert _by_part(events, 13) == [
        [pytest.approx(0.013), pytest.approx(0.007), *[0.0] * 11],
        [pytest.approx(0.020), *[0.0] * 11, pytest.approx(0.005)],
    ]


def test_what_a_backend_cannot_do_is_said() -> None:
    assert backends() == ["compile", "eager", "onnxruntime"]
    for setting, said in (
        (Setting("tflite"), "a backend is one of"),
        (Setting(precision="fp16"), "onnxruntime runs fp32, but got 'fp16'"),
        (Setting(device="cuda"), "onnxruntime runs on cpu, but got 'cuda'"),
    ):
        with pytest.raises(UserError, match=said):
            backend(setting)
    with pytest.raises(UserError, match="times parts"):
        backend(Setting("compile")).prepare(
            Subject.of(Arch.parse("r32 | conv_stem(width=8) | pool_head")), CPU, trace=True
        )


# ---------------------------------------------------------------------------------------------- measuring


class Clock:
    """A clock of which each pass takes (wall, busy) milliseconds; stands for the module `time`."""

    def __init__(self, script: Iterator[tuple[float, float]]) -> None:
        self.script, self.wall, self.busy = script, 0.0, 0.0

    def __call__(self) -> None:
        wall, busy = next(self.script)
        self.wall, self.busy = self.wall + wall / 1e3, self.busy + busy / 1e3

    def perf_counter(self) -> float:
        return self.wall

    def thread_time(self) -> float:
        return self.busy


def scripted(monkeypatch: pytest.MonkeyPatch, *script: tuple[float, float]) -> Clock:
    clock = Clock(iter(script * 200))
    monkeypatch.setattr(measuring, "time", clock)
    return clock


def test_passes_that_waited_for_the_core_are_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = scripted(monkeypatch, (10, 10), (17, 10), (12, 12), (11, 10))
    timing = measure(clock, Plan(warmup=0, repeats=4, spread=1), own_thread=True)
    assert (timing.median_ms, timing.passes, timing.disturbed) == (pytest.approx(11), 4, 3)
    assert (timing.low_ms, timing.high_ms) == (pytest.approx(10), pytest.approx(12))


def test_other_threads_leave_no_clock_to_tell_by(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = scripted(monkeypatch, (10, 1))
    assert not any(one.disturbed for one in passes(clock, Plan(repeats=3), own_thread=False))
    with pytest.raises(UserError, match="clock is that of one thread"):
        passes(clock, Plan(clock="cpu"), own_thread=False)


def test_the_cpu_clock_reads_the_time_on_the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    timing = measure(scripted(monkeypatch, (30, 10)), Plan(clock="cpu", repeats=5), own_thread=True)
    assert (timing.median_ms, timing.disturbed) == (pytest.approx(10), 0)


def test_noise_is_measured_again_and_then_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    noisy, quiet = [(10, 10), (20, 20)] * 5, [(10, 10)] * 10
    plan = Plan(warmup=0, repeats=10, rounds=3)
    assert measure(scripted(monkeypatch, *noisy, *quiet), plan, own_thread=True).round == 2
    with pytest.raises(Noisy, match=r"10% of the median, but 3 rounds ended with 10 to 20 ms around 15 ms"):
        measure(scripted(monkeypatch, *noisy), plan, own_thread=True)
    with pytest.raises(Noisy, match="no two passes were undisturbed"):
        measure(scripted(monkeypatch, (20, 10)), replace(plan, seconds=0.1), own_thread=True)


@given(
    st.floats(0.5, 2),
    st.floats(0, 5),
    st.lists(st.floats(1, 50), min_size=3, max_size=8, unique_by=lambda x: round(x, 2)),
)
def test_a_line_is_found(slope: float, constant: float, xs: list[float]) -> None:
    assert line([(x, constant + slope * x) for x in xs]) == (pytest.approx(slope), pytest.approx(constant, abs=1e-6))


# ------------------------------------------------------------------------------------- tables and sums


def priced(name: str, seed: int = 0) -> Table:
    """A made-up table of every part of a small space."""
    rng, parts = Random(seed), sorted({key for arch in written_out(name) for key in keys(arch, 3, CLASSES)})
    return Table(CPU, MACHINE, "2026", {key: rng.uniform(0.01, 1) for key in parts}, (), 1.25, 0.5, {}, (name,))


@pytest.mark.parametrize("name", ["flat", "twins"])
def test_a_prediction_is_the_sum_of_its_parts(name: str) -> None:
    found = priced(name)
    predictor = Predictor(found)
    for arch in written_out(name):
        said = predictor(arch, 3, CLASSES)
        wanted = 0.5 + 1.25 * sum(found.parts[key] for key in keys(arch, 3, CLASSES))
        assert said.ms == pytest.approx(wanted, abs=1e-4)
        assert said.estimated == 0


@pytest.mark.parametrize("name", SMALL)
def test_the_cover_shows_every_part(name: str) -> None:
    space = SMALL[name]
    wanted = {key for arch in written_out(name) for key in keys(arch, 3, CLASSES)}
    found = list(cover(space.lattice(3, CLASSES), CLASSES, set(), Random(0)))
    assert set().union(*(new for _, new in found)) == wanted
    assert sum(len(new) for _, new in found) == len(wanted)
    for arch, new in found:
        assert new <= set(keys(arch, 3, CLASSES))
    assert not list(cover(space.lattice(3, CLASSES), CLASSES, wanted, Random(0)))


@pytest.mark.parametrize("limits", [(0.3, None), (0.6, 0.5)], ids=str)
@pytest.mark.parametrize("name", ["flat", "twins"])
def test_draws_are_uniform_among_the_networks_within_a_latency(name: str, limits: tuple[float, float | None]) -> None:
    latency, (part, flops) = Predictor(priced(name)), limits
    timed = Feasible(SMALL[name], Budget(), 3, CLASSES, latency)
    costs = {arch: timed.cost(arch) for arch in written_out(name)}
    asked = []
    for metric, share in (("latency_ns", part), ("flops", flops)):
        known = sorted(getattr(c, metric) for c in costs.values())
        asked += [(metric, known[int(share * (len(known) - 1))])] if share else []
    feasible = Feasible(SMALL[name], Budget(tuple(asked), "cpu"), 3, CLASSES, latency)
    allowed = [arch for arch, c in costs.items() if all(getattr(c, metric) <= limit for metric, limit in asked)]
    assert {arch for arch in costs if feasible.fits(arch)} == set(allowed)
    rng = Random(f"{name} {limits}")
    drawn = [feasible.draw(rng) for _ in range(8 * len(allowed))]
    counted = Counter(arch for arch, _ in drawn)
    assert set(counted) <= set(allowed)
    assert chisquare([counted[arch] for arch in allowed]).pvalue > 0.001
    assert all(its_cost == costs[arch] for arch, its_cost in drawn)
    least, most = feasible.share()
    assert least <= len(allowed) / len(costs) <= most
    for arch in Random(0).sample(sorted(costs, key=str), min(30, len(costs))):
        assert feasible.fits(feasible.repair(arch))


def test_a_latency_that_no_network_keeps_names_the_fastest() -> None:
    with pytest.raises(
        BudgetError, match=r"the cheapest network of flat has \d\.\d+ms@cpu, but the budget is 0\.1ms@cpu"
    ):
        Feasible(SMALL["flat"], Budget.parse("0.1ms@cpu"), 3, CLASSES, Predictor(priced("flat")))
    with pytest.raises(BudgetError, match="needs a table"):
        Feasible(SMALL["flat"], Budget.parse("8ms@cpu"), 3, CLASSES)


def test_what_no_entry_names_is_estimated_by_rates_that_fit() -> None:
    """Rates are recovered from parts that were made of them, and carry to a part that was not among these."""
    made = dict.fromkeys(rates.FEATURES, 0.0) | {"pointwise_macs": 0.02, "depthwise_macs": 0.05, "layers": 9000.0}
    shapes = [Shape(8, n, n) for n in (4, 7, 14, 28)]
    layers = [conv_norm_act(16), conv_norm_act(8, 3, groups=8), chain(Conv(8), Conv(24, bias=True)), Conv(8, 5)]
    layers += [chain(Conv(8, 3, groups=2)), concat(Conv(8), Conv(4))]
    known = [(part, s, rates.estimate_ns(made, part, s) / 1e6) for part in layers for s in shapes]
    known += [(Linear(10), Shape(n, 1, 1), rates.estimate_ns(made, Linear(10), Shape(n, 1, 1)) / 1e6) for n in (9, 99)]
    found = rates.fit(known)
    other = (chain(conv_norm_act(64), conv_norm_act(64, 5, groups=64), Conv(16)), Shape(16, 20, 20))
    assert rates.estimate_ns(found, *other) == pytest.approx(rates.estimate_ns(made, *other), rel=1e-6)
    empty = Table(CPU, MACHINE, "2026", {}, rates=made)
    said = Predictor(empty)(Arch.parse("r32 | conv_stem(width=8) | fire c16 | pool_head"))
    assert said.ms > 0
    assert said.estimated == 1


def test_a_table_reads_back_as_it_was_written(tmp_path: Path) -> None:
    found = replace(
        priced("flat"), networks=(Whole("r32 | conv_stem | pool_head", 3, 10, 1.5),), clock="cpu", trust=0.5
    )
    path = table.write(found, tmp_path / "here.json")
    assert table.read(str(path)) == found
    with_reference = replace(found, reference=found.networks[0])
    assert table.read(str(table.write(with_reference, path))) == with_reference


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "another"}', "null"])
def test_what_is_no_table_is_said(text: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="a latency table is a JSON file of"):
        table.read(str(path))


def test_a_missing_table_says_how_to_make_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"no results/latency/phone\.json: measure one by .*--build phone"):
        within(find("mobile"), Budget.parse("8ms@phone"), 3, 1000)


# --------------------------------------------------------------------------------- build, check, use


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
