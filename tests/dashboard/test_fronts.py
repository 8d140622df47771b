"""The quick fronts say what the engine's plain ones say."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import fronts
from nas import pareto

POINTS = st.lists(st.tuples(st.integers(0, 12).map(lambda n: n / 12), st.integers(1, 12).map(float)), max_size=40)


@given(POINTS)
def test_front_is_the_engines(points: list[tuple[float, float]]) -> None:
    found = fronts.front([a for a, _ in points], [c for _, c in points])
    assert [points[i] for i in found] == [points[i] for i in pareto.front(points)]


@given(POINTS, st.sampled_from([0.0, 0.25, 0.5]))
def test_history_ends_in_the_hypervolume_and_never_falls(points: list[tuple[float, float]], worst: float) -> None:
    reference = (worst, 10.0)
    grown = fronts.history([a for a, _ in points], [c for _, c in points], reference)
    for count, area in grown:
        assert area == pytest.approx(pareto.hypervolume(points[:count], reference), abs=1e-9)
    assert [area for _, area in grown] == sorted(area for _, area in grown)
    whole = pareto.hypervolume(points, reference)
    assert (grown[-1][1] if grown else 0.0) == pytest.approx(whole, abs=1e-9)


@pytest.mark.parametrize("levels", [5, 1_000, 10**9])
def test_the_front_of_many_points_is_the_engines_with_ties_too(levels: int) -> None:
    """Above some thousands most points are left out by the front of a sample; equal ones must not be."""
    rng = np.random.default_rng(levels)
    for count in (2_001, 7_919):
        accuracies, costs = rng.integers(0, levels, count) / levels, 1.0 + rng.integers(0, levels, count)
        points = list(zip(accuracies.tolist(), costs.tolist(), strict=True))
        assert fronts.front(accuracies, costs) == pareto.front(points)


def test_a_hundred_thousand_trials_have_a_front() -> None:
    rng = Random(0)
    accuracies, costs = ([rng.random() for _ in range(100_000)] for _ in range(2))
    found = fronts.front(accuracies, costs)
    ordered = np.asarray(accuracies)[found]
    assert (np.diff(ordered) > 0).all()
    assert fronts.history(accuracies, costs, (0.0, 1.0))[-1][1] > 0.99
