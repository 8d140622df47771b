"""Successive halving: who goes on."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.recipe import Recipe
from nas.rungs import Reached, bands, corrected, places, promotable, ranked, share

# ----------------------------------------------------------------------------- the rule, on plain records


values = st.integers(1, 60)
candidates = st.lists(st.tuples(values, values), max_size=60).map(
    lambda pairs: [Reached(i, float(a), float(c)) for i, (a, c) in enumerate(pairs)]
)


def numbers(rung: list[Reached]) -> list[int]:
    return [one.number for one in rung]


@given(candidates, st.randoms(use_true_random=False))
def test_the_order_of_arrival_of_the_same_candidates_is_of_no_account(rung: list[Reached], random: object) -> None:
    shuffled = list(rung)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert ranked(shuffled) == ranked(rung)


@given(candidates)
def test_only_orders_count(rung: list[Reached]) -> None:
    other = [Reached(r.number, r.accuracy**3 - 7, 2.0**r.cost) for r in rung]
    assert numbers(ranked(other)) == numbers(ranked(rung))


@given(candidates)
def test_whoever_is_beaten_at_like_cost_comes_after_who_beats_it(rung: list[Reached]) -> None:
    order = numbers(ranked(rung))
    for band in bands(rung):
        for one, other in permutations(band, 2):
            if (
                other.accuracy >= one.accuracy
                and other.cost <= one.cost
                and (other.accuracy, other.cost) != (one.accuracy, one.cost)
            ):
                assert order.index(other.number) < order.index(one.number)


@given(candidates, st.integers(2, 5))
def test_never_more_than_their_part_go_on_however_they_arrive(rung: list[Reached], reduction: int) -> None:
    promoted: set[int] = set()
    for n in range(1, len(rung) + 1):
        while ready := promotable(rung[:n], promoted, reduction):
            promoted.add(ready[0])
        assert len(promoted) == places(n, reduction) == n // reduction


def test_few_candidates_are_ranked_by_their_pareto_layers() -> None:
    rung = [Reached(0, 0.5, 10), Reached(1, 0.6, 10), Reached(2, 0.7, 30), Reached(3, 0.4, 20), Reached(4, 0.65, 30)]
    order = numbers(ranked(rung))
    assert set(order[:2]) == {1, 2}
    assert set(order[2:4]) == {0, 4}
    assert order[4] == 3


def test_large_networks_are_promoted_though_short_training_flatters_small_ones() -> None:
    """Every network is beaten by all that are a quarter of the range cheaper."""
    rung = [Reached(i, 0.9 - 0.1 * (i // 12) + 0.05 * (i % 3 == 0) + 0.001 * i, float(i)) for i in range(48)]
    chosen = promotable(rung, set(), 3)
    assert [sum(first <= number < first + 12 for number in chosen) for first in (0, 12, 24, 36)] == [4] * 4
    assert all(number % 3 == 0 for number in chosen)


def test_what_a_candidate_costs_on_average() -> None:
    assert share(1, 3) == 1
    assert share(2, 2) == 0.5 + 0.5 * 0.5
    assert share(3, 3) == pytest.approx(1 / 9 + (2 / 9) / 3 + (6 / 9) / 9)


def test_lower_rungs_are_corrected_by_the_usual_gain() -> None:
    assert corrected([[0.5, 0.7, 0.8], [0.4, 0.5], [0.3], [0.6, 0.9, 0.9]]) == pytest.approx([0.8, 0.55, 0.55, 0.9])
    assert corrected([[0.5], [0.6]]) == [0.5, 0.6]
    assert corrected([]) == []


# --------------------------------------------------------------------------------------------- the recipe


def test_rungs_share_the_steps_and_the_last_trains_at_full_resolution() -> None:
    recipe = Recipe(steps=180, rungs=3, resolution=32, rung_resolutions=(16, 24))
    assert recipe.rung_steps(1000) == (20, 60, 180)
    assert [recipe.pixels(224, rung) for rung in range(3)] == [16, 24, 32]
    assert recipe.pixels(224) == 32
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert Recipe(steps=7).rung_steps(1000) == (7,)
