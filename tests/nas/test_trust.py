"""The trust meter: who is trained longer, what the two rankings say together, and that nothing is done twice."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas import trust
from nas.candidates import weights_name
from nas.evaluate import Evaluation, Evaluator
from nas.files import keep_weights
from nas.progress import Limits
from nas.recipe import Recipe
from nas.state_dicts import best
from nas.store import Stored
from nas.supernet.phases import FineTuning
from nas.trust import Pair, chosen, known, measure, verdict
from search_spaces.arch import Arch
from tests.nas.searching import Oracle, search


class Slow(Oracle):
    """Longer training, on `samples` images, that turns the ranking of short training round."""

    def __init__(self, samples: int = 640, worth: float = 1.0) -> None:
        super().__init__()
        self.images, self.worth = SimpleNamespace(data=SimpleNamespace(train=range(640))), worth
        self.recipe = Recipe(steps=samples // 64)

    def evaluate(self, arch: Arch, seed: int | None = None, on_point: object = None) -> Evaluation:
        found = super().evaluate(arch, seed)
        weights = {"head.classifier.bias": torch.full((10,), float(self.recipe.steps))}
        return Evaluation(self.worth - found.accuracy, found.trained, found.pixels, found.timings, weights)


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    run = search(tmp_path, "random")
    run.run(Limits(trials=12))
    return run.stored


def pairs(short: list[float], long: list[float]) -> list[Pair]:
    return [Pair(i, a, b, 100, 1.0) for i, (a, b) in enumerate(zip(short, long, strict=True))]


def test_verdicts_by_hand() -> None:
    alike = verdict(pairs([0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]))
    assert (alike.tau, alike.swapped, alike.best_stayed) == (1.0, 0, True)
    turned = verdict(pairs([0.1, 0.2, 0.3, 0.4], [0.8, 0.7, 0.6, 0.5]))
    assert (turned.tau, turned.swapped, turned.best_stayed) == (-1.0, 6, False)
    one_swap = verdict(pairs([0.1, 0.2, 0.3, 0.4], [0.6, 0.5, 0.7, 0.8]))
    assert one_swap.tau == pytest.approx((5 - 1) / 6)
    assert "1 of 6 pairs" in str(one_swap)


@pytest.mark.parametrize("few", [[], [0.3], [0.3, 0.3, 0.3]])
def test_nothing_to_rank_is_said(few: list[float]) -> None:
    found = verdict(pairs(few, few))
    assert math.isnan(found.tau)
    assert "too few" in str(found)


@settings(max_examples=8, deadline=None)  # each is 500 resamples
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=12))
def test_an_interval_holds_what_it_is_of(values: list[tuple[float, float]]) -> None:
    found = verdict(pairs(*map(list, zip(*values, strict=True))))
    assert math.isnan(found.tau) or (-1 <= found.low <= found.high <= 1 and -1 <= found.tau <= 1)


def test_the_best_and_controls_are_chosen(stored: Stored) -> None:
    done = stored.complete()
    raw = {c.number: c.accuracy or 0.0 for c in done}
    ranked = sorted(raw.values(), reverse=True)
    numbers = [c.number for c in chosen(done, 6, raw)]
    assert len(set(numbers)) == 6
    assert sorted((raw[n] for n in numbers), reverse=True)[:3] == ranked[:3]  # the best half
    assert min(raw[n] for n in numbers) == ranked[-1]  # controls reach to the worst
    assert {c.number for c in chosen(done, 100, raw)} == raw.keys()
    assert {c.number for c in chosen(done, 11, raw)} < raw.keys()
    assert len({c.number for c in chosen(done, 11, raw)}) == 11
    turned = {number: -value for number, value in raw.items()}
    assert raw[chosen(done, 6, turned)[0].number] == ranked[0]  # the most accurate is never left out
    assert ranked[-1] in [raw[c.number] for c in chosen(done, 6, turned)[:4]]  # the rest goes by worth


def test_longer_training_decides_and_is_not_repeated(stored: Stored) -> None:
    slow, lines = Slow(), list[str]()
    before = stored.best()
    found = measure(stored, slow, 6, tell=lines.append)  # type: ignore[arg-type]  # stands in for an Evaluator
    assert (found.n, found.swapped, found.best_stayed) == (6, 15, False)
    assert found.tau == pytest.approx(-1)
    assert len(lines) == 6
    assert "left" in lines[0]
    worst = min(
        (c for c in stored.complete() if c.number in {p.number for p in known(stored)}), key=lambda c: c.accuracy or 0
    )
    assert stored.best().number == worst.number != before.number
    assert (stored.folder / weights_name(worst.number, 640)).is_file()
    again = Slow()
    assert measure(stored, again, 6) == found  # type: ignore[arg-type]
    assert not again.seen


def test_weights_are_of_the_length_that_is_told_of_them(stored: Stored) -> None:
    """A longer training may end less well than one half as long, and a shorter one may come after it."""
    for samples, worth in ((640, 1.0), (2560, 0.9), (1280, 1.1)):
        found = measure(stored, Slow(samples, worth), 6)  # type: ignore[arg-type]
        assert found.n == 6
    assert {pair.samples for pair in known(stored)} == {2560}
    weights, told = best(stored, stored.best())
    assert told.samples == 2560
    assert weights["head.classifier.bias"][0] == 2560 / 64
    again = Slow(640)
    measure(stored, again, 6)  # type: ignore[arg-type]
    assert not again.seen


def test_longer_training_is_in_one_go_on_so_many_times_the_images() -> None:
    images = SimpleNamespace(data=SimpleNamespace(train=range(6400)))
    rungs = Recipe(epochs=2, rungs=3, rung_resolutions=(16, 24))
    once = trust.slower(Evaluator(rungs, images, 10.0), 3)  # type: ignore[arg-type]
    assert (once.recipe.steps, once.recipe.rungs, once.candidate_timeout) == (600, 1, 30.0)
    assert once.recipe.pixels(224) == rungs.resolution


def test_what_was_fine_tuned_leads_over_what_a_supernet_lent(tmp_path: Path) -> None:
    """A supernet may praise every network above what any is worth by itself."""

    class Sober(Oracle):
        def evaluate(self, arch: Arch, seed: int | None = None, on_point: object = None) -> Evaluation:
            found = super().evaluate(arch, seed)
            return replace(found, accuracy=found.accuracy / 2)

    run = search(tmp_path, "random")
    run.run(Limits(trials=12))
    tuning = FineTuning(run, Sober())  # type: ignore[arg-type]
    assert tuning.run(Limits(trials=100)) == "the front is fine-tuned"
    stored, tuned = run.stored, [after for _, after in tuning.tuned()]
    done = stored.complete()
    praised = {before.number for before, _ in tuning.tuned()}
    first = max(tuned, key=lambda c: c.accuracy or 0)
    assert stored.best().number == first.number

    picked = chosen(done, 2 * len(tuned), {c.number: c.accuracy or 0.0 for c in done})
    assert picked[0].number == first.number
    assert {c.number for c in picked[::2]} == {c.number for c in tuned}
    assert not praised & {c.number for c in picked}

    def trained_longer(number: int, long: float) -> None:
        keep_weights({"head.classifier.bias": torch.ones(10)}, stored.folder / weights_name(number, 640))
        row = {"number": number, "long": long, "samples": 640, "seconds": 1.0}
        stored.study.set_user_attr(f"longer:{number}:640", row)

    def taken_home() -> tuple[int, float, float]:
        weights, worth = best(stored, stored.best())
        return stored.best().number, worth.value, float(weights["head.classifier.bias"][0])

    trained_longer(first.number, 0.01)  # anew, so it may be worse than what came from the supernet
    assert taken_home() == (first.number, first.accuracy, 0)
    lent = stored.trial(min(praised))
    trained_longer(lent.number, 0.99 * (lent.accuracy or 0))
    assert taken_home() == (lent.number, pytest.approx(0.99 * (lent.accuracy or 0)), 1)
    trained_longer(first.number, 0.995)
    assert taken_home() == (first.number, 0.995, 1)


def test_the_deadline_is_kept(stored: Stored) -> None:
    slow, lines = Slow(), list[str]()
    measure(stored, slow, 4, deadline=time.monotonic() - 1, tell=lines.append)  # type: ignore[arg-type]
    assert not slow.seen
    assert "no time for 4" in lines[0]


def test_a_new_best_by_short_training_is_not_overruled_by_old_verdicts(stored: Stored) -> None:
    measure(stored, Slow(), 4)  # type: ignore[arg-type]
    stored.study.set_user_attr(
        f"longer:{stored.front()[-1].number}:640", {"number": -1, "long": 0.0, "samples": 1, "seconds": 0}
    )
    assert stored.best().number == stored.front()[-1].number


def test_how_many(tmp_path: Path) -> None:
    assert [trust.usual(n) for n in (3, 16, 40, 1000)] == [6, 6, 10, 16]
