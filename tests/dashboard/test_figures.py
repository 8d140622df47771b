"""What figures are drawn from, as plain numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dashboard.figures import (
    coverage,
    curves,
    drawing,
    front,
    importance,
    parallel,
    published,
    throughput,
)
from dashboard.studies import Row, Study
from nas import pareto
from search_spaces import Arch, cost, zoo
from tests.dashboard.studying import SPACE, text

ARCH = Arch.parse(text())


def row(number: int, accuracy: float | None, params: dict[str, Any] | None = None, **more: Any) -> Row:
    state = "failed" if accuracy is None else "complete"
    base = Row(
        number, state, ARCH, cost(ARCH), accuracy, "", 10.0, 10.0 * number, 10.0 * number + 10, None, {}, params or {}
    )
    return replace(base, **more)


def test_front_holds_every_trial_in_the_axis_unit(study: Study) -> None:
    (layer,) = front.data([study]).layers
    done = [r for r in study.rows if r.state == "complete"]
    assert layer.trained.numbers == tuple(r.number for r in done)
    assert layer.trained.costs == pytest.approx([r.cost.flops / 1e6 for r in done], rel=1e-3)
    assert layer.trained.accuracies == pytest.approx([100 * (r.accuracy or 0) for r in done], abs=0.006)
    best = pareto.front([(r.accuracy or 0, r.cost.flops) for r in done])
    assert layer.front.numbers == tuple(done[i].number for i in best)
    assert layer.failed.numbers == (7, 27)
    assert layer.limit == 300.0


def test_the_axis_follows_what_arrives_and_a_backdrop_is_cut(study: Study) -> None:
    """A range of its own would hide trials that come later, and those that stopped while none is trained."""
    assert front.plot(front.data([study])).layout.xaxis.range is None
    found = front.data([study], backdrop=True)
    stopped = replace(found.layers[0], stopped=front.Points((99,), (20.0,), (30.0,)))
    low, high = front.plot(replace(found, layers=(stopped,))).layout.xaxis.range
    assert (10**low, 10**high) == pytest.approx((10.0, 600.0))


def test_a_layer_since_a_row_holds_only_what_is_new(study: Study) -> None:
    whole, new = front.layer(study, "macs"), front.layer(study, "macs", since=30)
    assert new.trained.numbers == tuple(n for n in whole.trained.numbers if n >= 30)
    assert new.front == whole.front
    assert new.seen == whole.seen == 40


@pytest.mark.parametrize("metric", ["flops", "macs", "params", "activations", "peak_activations"])
def test_front_draws_on_any_cost_with_the_papers_behind(study: Study, metric: str) -> None:
    drawn = front.plot(front.data([study, study], metric, backdrop=True))
    assert len(drawn.data) >= 2 * len(front.KINDS)
    assert drawn.layout.xaxis.type == "log"


def test_nothing_measured_is_an_empty_front(study: Study) -> None:
    (layer,) = front.data([study], "latency_ms").layers
    assert layer.trained == layer.front == front.Points()
    front.plot(front.data([study], "latency_ms", backdrop=True))


def test_published_networks_are_all_there_with_their_own_cost() -> None:
    found = {
        name: (c, top1) for f in published.data("macs") for name, c, top1 in zip(f.names, f.costs, f.top1, strict=True)
    }
    assert found["mobilenet_v2"] == (zoo.find("mobilenet_v2").cost.macs, 71.8)
    assert len(found) == sum(zoo.find(name).published.top1 is not None for name in zoo.names())


def test_curves_hold_the_chosen_and_the_field() -> None:
    field = [[{"samples": 10, "accuracy": a}, {"samples": 20, "accuracy": a + 0.1}] for a in (0.1, 0.2, 0.3)]
    found = curves.data({"trial 1": field[0]}, [*field, [{"samples": 99, "accuracy": 1.0}]])
    assert found.lines == (("trial 1", (10, 20), (10.0, 20.0)),)
    assert found.samples == (10, 20)
    assert found.field[1] == (20.0, 30.0)


def test_drawing_has_a_bar_a_block_and_all_flops() -> None:
    blocks = drawing.data(ARCH)
    assert [b.kind for b in blocks] == ["stem", "inverted residual", "inverted residual", "inverted residual", "head"]
    assert [b.width for b in blocks[:-1]] == [16, 16, 16, 24]
    assert sum(b.flops for b in blocks) == cost(ARCH).flops
    assert sum(b.share for b in blocks) == pytest.approx(100, abs=0.01)
    assert drawing.sides(blocks) == [(16, 0, 2), (8, 3, 3), (1, 4, 4)]


@pytest.mark.parametrize("name", zoo.names())
def test_every_network_of_the_papers_can_be_drawn(name: str) -> None:
    arch = zoo.find(name).arch
    drawing.plot(drawing.data(arch))
    assert str(arch.depth) in drawing.sentence(arch)


def test_what_matters_finds_the_choice_that_does() -> None:
    rows = [row(i, 0.5 + 0.1 * (i % 2) + 0.001 * (i % 7), {"a": i % 2, "b": i % 3, "c": 1}) for i in range(60)]
    found = importance.data(rows)
    assert [c.path for c in found] == ["a", "b"]
    assert found[0].explained > 95
    assert found[1].explained < 5
    (zero, low, n), (one, high, _) = found[0].options
    assert (zero, one, n) == ("0", "1", 30)
    assert high - low == pytest.approx(10, abs=0.2)


def test_what_matters_is_silent_with_few_trials() -> None:
    assert importance.data([row(i, 0.5, {"a": i}) for i in range(5)]) == ()
    importance.plot(())


def test_coverage_counts_options_in_all_and_over_time() -> None:
    rows = [row(i, 0.5, {"stem.width": 16 if i < 4 else 24}) for i in range(8)]
    found = {o.label: o for o in coverage.data(SPACE, rows, "stem")}
    assert {label: o.tried for label, o in found.items()} == {"16": 4, "24": 4, "32": 0}
    assert found["16"].windows == (100.0, 0.0)
    assert found["32"].share == 0.0


def test_coverage_of_nothing_and_of_an_unknown_space() -> None:
    assert all(o.tried == 0 for o in coverage.data(SPACE, []))
    assert [o.label for o in coverage.data(None, [row(0, 0.5, {"x": 3})])] == ["3"]
    coverage.plot(())


def test_throughput_counts_every_end_and_leaves_pauses_out() -> None:
    rows = [row(i, None if i == 3 else 0.5) for i in range(8)]
    late = replace(row(9, 0.5), begun=1e6, ended=1e6 + 10)
    pace = throughput.data([*rows, late])
    assert sum(pace.good) == 8
    assert sum(pace.failed) == 1
    assert pace.minutes * len(pace.good) < 5
    assert throughput.hourly(rows) == pytest.approx(360)
    throughput.plot(throughput.data([]))


def test_parallel_leaves_out_axes_that_say_nothing_and_brushes(study: Study) -> None:
    lines = parallel.data(study.rows)
    names = [label for label, _ in lines.columns]
    assert "Input (px)" not in names
    place = names.index("Blocks")
    depths = dict(zip(lines.numbers, lines.columns[place][1], strict=True))
    assert parallel.within(lines, {str(place): [[10, 12]]}) == [n for n, d in depths.items() if 10 <= d <= 12]
    assert parallel.within(lines, {}) == list(lines.numbers)
    parallel.plot(parallel.data([]))
