"""Fronts against their definition, hypervolume against a grid and closed forms."""

from hypothesis import given
from hypothesis import strategies as st

from nas.pareto import front, hypervolume, layers

POINTS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=30)


def beats(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return a[0] >= b[0] and a[1] <= b[1] and a != b


@given(POINTS)
def test_the_front_is_what_no_other_beats(points: list[tuple[int, int]]) -> None:
    best = {p for p in points if not any(beats(q, p) for q in points)}
    kept = [points[i] for i in front(points)]
    assert set(kept) == best
    assert len(kept) == len(best)
    assert kept == sorted(kept, key=lambda p: p[1])


@given(POINTS)
def test_layers_hold_every_point_once(points: list[tuple[int, int]]) -> None:
    ranked = layers(points)
    assert sorted(i for layer in ranked for i in layer) == list(range(len(points)))


@given(POINTS)
def test_hypervolume_counts_the_cells_that_are_dominated(points: list[tuple[int, int]]) -> None:
    cells = sum(
        any(accuracy >= row + 1 and cost <= column for accuracy, cost in points)
        for row in range(3, 12)
        for column in range(10)
    )
    assert hypervolume(points, (3, 10)) == cells


def test_hypervolume_of_one_point_is_its_rectangle() -> None:
    assert hypervolume([(0.9, 100.0)], (0.5, 300.0)) == (0.9 - 0.5) * 200
    assert hypervolume([], (0.5, 300.0)) == 0
