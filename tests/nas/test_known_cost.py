"""The sampler that learns accuracy and reads cost: its parts against closed forms, the whole against random."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from random import Random

import numpy as np
import pytest
from optuna.trial import TrialState
from scipy.optimize import approx_fprime

from nas.budgeted import BudgetedSampler
from nas.known_cost import process as model
from nas.known_cost import proposal
from nas.known_cost.belief import Belief, Hint, Known, Options, milestone, squashed
from nas.known_cost.domain import Label, Parameter
from nas.known_cost.encoder import Encoder
from nas.known_cost.improvement import expected_hypervolume_improvement
from nas.known_cost.process import Process, fit
from nas.known_cost.proposal import memory, propose, reconsidered
from nas.pareto import hypervolume
from nas.progress import Limits
from nas.samplers import known_cost
from tests.nas.searching import SPACE, feasible, search

LEVELS, WORDS = (0, 1, 2, 3, 4), ("a", "b", "c")
Item = tuple[Label, ...]


class Toy:
    """Four numbers and two words, a sixth of the combinations missing; cost grows faster than accuracy."""

    parameters = tuple(
        [Parameter(f"n{i}", LEVELS, "number") for i in range(4)] + [Parameter(f"w{i}", WORDS, "word") for i in range(2)]
    )

    def __init__(self) -> None:
        whole = list(product(*(p.options for p in self.parameters)))
        self.items: list[Item] = [one for i, one in enumerate(whole) if i % 6]
        self.known = set(self.items)
        self.dearest = max(map(self.cost, self.items))

    def draw(self, rng: Random) -> Item:
        return rng.choice(self.items)

    def child(self, one: Item, other: Item, rng: Random) -> Item | None:
        child = tuple(
            rng.choice((a, b, rng.choice(p.options))) for a, b, p in zip(one, other, self.parameters, strict=True)
        )
        return child if child in self.known else None

    def neighbours(self, one: Item) -> Iterator[Item]:
        for i, p in enumerate(self.parameters):
            for option in p.options:
                near = (*one[:i], option, *one[i + 1 :])
                if option != one[i] and near in self.known:
                    yield near

    def params(self, one: Item) -> dict[str, Label]:
        return {p.name: label for p, label in zip(self.parameters, one, strict=True)}

    def cost(self, one: Item) -> float:
        return float(np.exp(sum(float(n) for n in one[:4]) / 4) + 0.3 * WORDS.index(str(one[4])))

    def accuracy(self, one: Item) -> float:
        n = [float(v) for v in one[:4]]
        return n[0] + 0.7 * n[1] - 0.2 * (n[2] - 2) ** 2 + 0.4 * (one[4] == "b") + 0.3 * (one[4] == one[5])

    def missing(self, found: list[Item]) -> float:
        reference = (float(np.median([self.accuracy(one) for one in self.items])), float(np.log(self.dearest)))
        whole, ours = (
            hypervolume([(self.accuracy(one), float(np.log(self.cost(one)))) for one in items], reference)
            for items in (self.items, found)
        )
        return 1 - ours / whole


TOY = Toy()


def run(evaluations: int, seed: int, noise: float = 0.0) -> list[Item]:
    rng, done = Random(seed), list[tuple[Item, float]]()
    for i in range(evaluations):
        one = propose(TOY, Known(done), 1000 * seed + i)[0]
        done.append((one, TOY.accuracy(one) + rng.gauss(0, noise)))
    return [one for one, _ in done]


def some(n: int) -> list[tuple[Item, float]]:
    return [(one, TOY.accuracy(one)) for one in Random(0).sample(TOY.items, n)]


# ------------------------------------------------------------------------------------------------ the acquisition


def test_expected_hypervolume_improvement_is_what_drawing_accuracies_gives() -> None:
    rng = np.random.default_rng(0)
    points = [(0.5, 1.0), (0.7, 2.0), (0.6, 1.5), (0.65, 1.8), (0.2, 0.5), (0.9, 3.0), (0.95, 5.0)]
    reference = (0.3, 4.0)  # one point lies below it in accuracy, one beyond it in cost
    mean, deviation = np.array([0.55, 0.75, 0.3, 0.8, 0.99]), np.array([0.1, 0.05, 0.2, 0.3, 0.1])
    cost = np.array([0.7, 1.7, 1.0, 2.0, 4.5])
    exact = expected_hypervolume_improvement(mean, deviation, cost, points, reference)
    before = hypervolume(points, reference)
    for i in range(5):
        drawn = rng.normal(mean[i], deviation[i], 20_000)
        gains = [hypervolume([*points, (float(y), float(cost[i]))], reference) - before for y in drawn]
        assert exact[i] == pytest.approx(np.mean(gains), abs=4 * np.std(gains) / 20_000**0.5 + 1e-12)
    assert exact[4] == 0  # dearer than the reference


def test_without_doubt_it_is_the_gain_itself() -> None:
    points, reference = [(0.5, 1.0), (0.7, 2.0)], (0.0, 3.0)
    got = expected_hypervolume_improvement(
        np.array([0.6, 0.4]), np.array([1e-9, 1e-9]), np.array([1.5, 1.2]), points, reference
    )
    assert got == pytest.approx([0.05, 0.0], abs=1e-8)


# ------------------------------------------------------------------------------------------------------ the model


def test_the_posterior_is_the_textbook_one() -> None:
    rng = np.random.default_rng(1)
    groups, new = [rng.random((12, 1)), rng.random((12, 3))], [rng.random((5, 1)), rng.random((5, 3))]
    targets, theta = rng.normal(size=12), np.log([2.0, 0.5, 0.8, 0.3, 0.05])
    process = Process(theta, groups, targets)

    def kernel(a: list[np.ndarray], b: list[np.ndarray]) -> np.ndarray:
        squared = [w * ((x[:, None] - y[None]) ** 2).sum(2) for w, x, y in zip((2.0, 0.5), a, b, strict=True)]
        r = np.sqrt(5 * sum(squared))
        return 0.8 * (1 + r + r * r / 3) * np.exp(-r) + 0.15 * sum(1 / (1 + d / 2) for d in squared)

    inverse = np.linalg.inv(kernel(groups, groups) + (0.05 + model.JITTER) * np.eye(12))
    ones = np.ones(12)
    level = ones @ inverse @ targets / (ones @ inverse @ ones)
    across = kernel(new, groups)
    mean, deviation = process(new)
    assert mean == pytest.approx(level + across @ inverse @ (targets - level))
    assert deviation**2 == pytest.approx(1.1 - np.einsum("ij,jk,ik->i", across, inverse, across))


def test_the_slope_of_the_fit_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    checked = []

    def spy(loss, start, **options):  # type: ignore[no-untyped-def]
        at = start + np.linspace(-0.5, 0.5, len(start))
        checked.append((loss(at)[1], approx_fprime(at, lambda theta: loss(theta)[0], 1e-6)))
        return minimize(loss, start, **options)

    minimize = model.minimize
    monkeypatch.setattr(model, "minimize", spy)
    rng = np.random.default_rng(2)
    fit([rng.random((15, 1)), rng.random((15, 4)), rng.random((15, 1))], rng.normal(size=15))
    ((ours, differences),) = checked
    assert ours == pytest.approx(differences, rel=1e-3, abs=1e-3)


def test_noise_and_what_matters_are_learned() -> None:
    rng = np.random.default_rng(3)
    groups = [rng.random((150, 1)) for _ in range(3)]
    truth = np.sin(5 * groups[0][:, 0])
    targets = (truth - truth.mean()) / truth.std() + rng.normal(0, 0.3, 150)
    theta = fit(groups, targets)
    assert theta[0] > max(theta[1:3]) + 2  # the first group alone matters
    assert np.exp(theta[-1]) == pytest.approx(0.09, rel=0.5)


def test_drawn_length_scales_differ_where_the_targets_say_little() -> None:
    rng = np.random.default_rng(4)
    groups = [rng.random((100, 1)) for _ in range(3)]
    targets = np.sin(6 * groups[0][:, 0]) + rng.normal(0, 0.1, 100)
    targets = (targets - targets.mean()) / targets.std()
    drawn = np.array([fit(groups, targets, draw=i) for i in range(1, 13)])
    assert np.array_equal(drawn[4], fit(groups, targets, draw=5))
    assert min(drawn[:, 0]) > max(drawn[:, 1:3].ravel())  # what is known is in every draw
    few = np.array([fit([g[:6] for g in groups], targets[:6], draw=i) for i in range(1, 13)])
    assert few[:, 0].std() > 2 * drawn[:, 0].std()


# ---------------------------------------------------------------------------------------------------- the features


def test_numbers_words_and_closed_holes_become_distances() -> None:
    parameters = (Parameter("width", (64, 16, 32)), Parameter("block", ("fire", "plain")), Parameter("squeeze", (1, 2)))
    rows = [
        {"width": 16, "block": "fire", "squeeze": 2},
        {"width": 64, "block": "plain"},
        {"width": 32, "block": "fire"},
    ]
    width, block, squeeze = Encoder(parameters)(rows)  # type: ignore[arg-type]  # dict is invariant
    assert width[:, 0].tolist() == [0, 1, 0.5]
    assert ((block[0] - block[1]) ** 2).sum() == pytest.approx(1)
    assert ((block[0] - block[2]) ** 2).sum() == 0
    assert squeeze[:, 0].tolist() == [1, 0.5, 0.5]


def test_choices_of_one_kind_are_counted() -> None:
    parameters = tuple(Parameter(name, ("a", "b"), "k") for name in "xyz")
    rows = [{"x": "a", "y": "b", "z": "b"}, {"x": "b", "y": "b", "z": "a"}, {"x": "a", "y": "a", "z": "a"}]
    counted = Encoder(parameters)(rows)[-1]  # type: ignore[arg-type]  # as above
    assert counted[0] == pytest.approx(counted[1])
    assert not np.allclose(counted[0], counted[2])
    assert len(Encoder(parameters, kinds=False)(rows)) == 3  # type: ignore[arg-type]  # as above


def test_squashing_keeps_the_order_and_the_better_half() -> None:
    raw = np.array([0.9, 0.1, 0.5, 0.7, 0.95, 0.3])
    got = squashed(raw)
    assert (np.argsort(got) == np.argsort(raw)).all()
    assert got[raw > 0.6] == pytest.approx(raw[raw > 0.6])
    assert got.min() > 0.1


# ---------------------------------------------------------------------------------------------------- the proposal


def test_it_is_a_function_of_what_is_known_and_the_seed() -> None:
    known = Known(some(40))
    assert propose(TOY, known, 7) == propose(TOY, known, 7)
    assert propose(TOY, known, 7) != propose(TOY, known, 8)


@pytest.mark.parametrize("n", [0, 5, 40])
def test_nothing_seen_is_proposed(n: int) -> None:
    done, others = some(n), [one for one, _ in some(n + 20)[n:]]
    proposed = propose(TOY, Known(done, running=others[:10], failed=others[10:]), 0)
    assert proposed
    assert len(set(proposed)) == len(proposed)
    assert not set(proposed) & {*others, *(one for one, _ in done)}


def test_the_first_ones_spread_over_the_cost() -> None:
    low, high = np.log(min(map(TOY.cost, TOY.items))), np.log(TOY.dearest)
    costs = [float(np.log(TOY.cost(one))) for one in run(8, seed=0)]
    assert len({int(8 * (cost - low) / (high - low + 1e-9)) for cost in costs}) >= 6


def test_what_runs_is_believed() -> None:
    done = some(40)
    first = propose(TOY, Known(done), 3)[0]
    options = Options(climbs=0)
    next_ = propose(TOY, Known(done, running=[first]), 3, options)[0]
    assert next_ != first
    search_, alone = Belief(TOY, Known(done, running=[first]), options), Belief(TOY, Known(done), options)
    (mean, deviation, _), (before, doubt, _) = search_([first]), alone([first])
    assert mean == pytest.approx(before, abs=1e-2)
    assert deviation < 0.5 * doubt
    assert search_.points[-1][0] == pytest.approx(float(before[0]), abs=1e-2)


def test_four_models_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[bool, bool]] = []  # with sums, by drawn length scales

    class Spied(Belief[Item]):
        def __init__(
            self, domain: Toy, known: Known[Item], options: Options, hints: Sequence[Hint[Item]] = (), draw: int = 0
        ) -> None:
            super().__init__(domain, known, options, hints, draw)
            asked.append((len(self.model.groups) > len(TOY.parameters) + 1, draw > 0))  # beside choices and cost

    monkeypatch.setattr(proposal, "Belief", Spied)
    for n in (20, 21, 22, 23, 24):
        propose(TOY, Known(some(n)), 0)
    propose(TOY, Known(some(20), running=[one for one, _ in some(22)[20:21]]), 0)
    assert asked == [(True, False), (False, False), (True, True), (False, True), (True, False), (False, False)]
    asked.clear()
    propose(TOY, Known(some(21)), 0, Options(in_turns=False))
    propose(TOY, Known(some(20)), 0, Options(kind_features=False))
    propose(TOY, Known(some(22)), 0, Options(drawn_scales=False))
    assert asked == [(True, False), (False, False), (True, False)]


def test_equal_accuracies_and_a_single_candidate_are_no_error() -> None:
    assert propose(TOY, Known([(one, 0.5) for one, _ in some(20)]), 0)
    assert propose(TOY, Known([(one, 0.5) for one in TOY.items]), 0) == []


def test_it_beats_random_by_far() -> None:
    ours = np.mean([TOY.missing(run(40, seed, noise=0.05)) for seed in range(3)])
    random = np.mean([TOY.missing(Random(seed).sample(TOY.items, 40)) for seed in range(20)])
    assert ours < 0.3 * random


@pytest.mark.parametrize("name", [n for n, v in vars(Options()).items() if isinstance(v, bool)])
def test_every_idea_can_be_switched_off(name: str) -> None:
    assert propose(TOY, Known(some(30)), 0, Options(**{name: False}))


def test_length_scales_are_fitted_ever_rarer() -> None:
    numbers = [milestone(n) for n in range(1, 3000)]
    assert numbers[:31] == list(range(1, 32))
    assert all(0 <= n - m <= n / 15 for n, m in enumerate(numbers, 1))
    assert len(set(numbers)) < 150


# ------------------------------------------------------------------------------------------------- with a hint


def each(hint: Callable[[Item], float]) -> Hint[Item]:
    return lambda items: np.array([hint(one) for one in items])


def told(done: list[tuple[Item, float]], hint: Callable[[Item], float], seed: int) -> list[Item]:
    """Candidates of like cost, by what the model makes of choices and a hint: improvement is a matter of accuracy."""
    alike = [one for one in TOY.items if 2.5 < TOY.cost(one) < 3.0 and one not in dict(done)]
    usual = [TOY.draw(Random(i)) for i in range(24)]
    return reconsidered(TOY, Known(done), Random(seed).sample(alike, 12), [each(hint)], usual, seed)


def place_of_the_best(hint: Callable[[Item], float]) -> float:
    """Where the truly best of 12 stands, mean of 20 times; 5.5 by chance."""
    places = []
    for seed in range(20):
        done = [(one, TOY.accuracy(one)) for one in Random(seed).sample(TOY.items, 14)]
        ranked = told(done, hint, seed)
        places.append(ranked.index(max(ranked, key=TOY.accuracy)))
    return float(np.mean(places))


def noise(one: Item) -> float:
    return Random(str(one)).gauss(0, 1)


def test_a_hint_that_knows_helps_and_one_that_does_not_is_seen_through() -> None:
    spread = float(np.std([TOY.accuracy(one) for one in TOY.items]))
    blind, useless = place_of_the_best(lambda one: 0.0), place_of_the_best(noise)
    useful = place_of_the_best(lambda one: TOY.accuracy(one) / spread)
    contrary = place_of_the_best(lambda one: -TOY.accuracy(one) / spread)
    assert useful < 0.6 * blind
    assert contrary < 0.6 * blind  # what it is worth is learned, its sign too
    assert useless < blind + 1


def test_a_hint_is_asked_for_what_is_known_the_candidates_and_the_usual_alone() -> None:
    asked = set[Item]()
    done, usual, candidates = some(20), TOY.items[:24], TOY.items[100:104]

    def hint(one: Item) -> float:
        asked.add(one)
        return 0.0

    assert sorted(reconsidered(TOY, Known(done), candidates, [each(hint)], usual, 0)) == sorted(candidates)
    assert asked == {*(one for one, _ in done), *usual, *candidates}


def test_a_model_that_knows_too_little_says_nothing() -> None:
    assert reconsidered(TOY, Known(some(9)), TOY.items[:4], [each(noise)], TOY.items[:24], 0) == []


def test_an_earlier_search_helps_also_when_its_accuracies_mean_something_else() -> None:
    """60 networks that were known before: as accuracies stand, upside down, and as noise; 20 evaluations after them."""

    def missing(before: Callable[[Item], float] | None) -> float:
        found = []
        for seed in range(6):
            items = Random(100 + seed).sample(TOY.items, 60)
            hints = [memory(TOY, [(one, before(one)) for one in items])] if before else []
            done = list[tuple[Item, float]]()
            for i in range(20):
                one = propose(TOY, Known(done), 1000 * seed + i, hints=hints)[0]
                done.append((one, TOY.accuracy(one)))
            found.append(TOY.missing([one for one, _ in done]))
        return float(np.mean(found))

    alone = missing(None)
    assert missing(lambda one: 0.3 + 0.1 * TOY.accuracy(one)) < 0.6 * alone
    assert missing(lambda one: -TOY.accuracy(one)) < 0.8 * alone
    assert missing(noise) < 1.5 * alone


def test_thousands_of_trials_are_bounded() -> None:
    done = some(4000)
    propose(TOY, Known(done), 0)  # the fit, once
    started = time.process_time()
    propose(TOY, Known(done), 1)
    assert time.process_time() - started < 2


# ------------------------------------------------------------------------------------------------------- in Optuna


def test_a_space_gives_networks_that_fit() -> None:
    fits = feasible()
    domain, rng = known_cost.Networks(fits), Random(0)
    assert {p.name for p in domain.parameters} <= set(SPACE.holes)
    one, other = domain.draw(rng), domain.draw(rng)
    children = [domain.child(one, other, rng) for _ in range(50)]
    assert sum(child is not None for child in children) > 10
    assert all(fits.fits(child) for child in children if child)
    assert all(fits.fits(near) and SPACE.distance(one, near)[0] >= 1 for near in domain.neighbours(one))
    assert fits.lattice.extreme("flops")[1].flops < domain.dearest == 1_200_000
    assert set(domain.params(one)) <= set(SPACE.holes)


def test_a_study_tells_what_is_done_running_and_failed(tmp_path: Path) -> None:
    run = search(tmp_path, "known_cost")
    run.run(Limits(trials=4))
    study, fits = run.study, feasible()
    first = {c.arch for c in run.stored.candidates()}
    for state in (TrialState.FAIL, None):
        trial = study.ask()
        arch = BudgetedSampler(known_cost.proposer(), fits, 0).decide(study, study.trials[trial.number])
        trial.set_user_attr("arch", str(arch))
        if state:
            study.tell(trial, state=state)
    told = known_cost.known(study)
    assert {arch for arch, _ in told.done} == first
    assert [len(told.done), len(told.running), len(told.failed)] == [4, 1, 1]
    assert len({*first, *told.running, *told.failed}) == 6
