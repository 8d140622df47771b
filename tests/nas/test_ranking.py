"""Rank correlations against the definition and another implementation, and intervals against what they must cover."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from nas.ranking import interval, kendall, spearman

PAIRS = st.lists(st.tuples(st.integers(0, 6), st.integers(-3, 3)), min_size=3, max_size=30).filter(
    lambda pairs: len({a for a, _ in pairs}) > 1 and len({b for _, b in pairs}) > 1
)


def tau_b(a: list[float], b: list[float]) -> float:
    """Kendall's definition, pair by pair."""
    signs = [(np.sign(a[i] - a[j]), np.sign(b[i] - b[j])) for i, j in combinations(range(len(a)), 2)]
    agree = sum(x * y for x, y in signs)
    return float(agree / math.sqrt(sum(x != 0 for x, _ in signs) * sum(y != 0 for _, y in signs)))


@given(PAIRS)
def test_correlations_are_the_textbooks_with_ties(pairs: list[tuple[int, int]]) -> None:
    a, b = ([float(pair[side]) for pair in pairs] for side in (0, 1))
    assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert kendall(a, b) == pytest.approx(tau_b(a, b))


@pytest.mark.parametrize("statistic", [spearman, kendall])
def test_only_order_counts(statistic: object) -> None:
    assert callable(statistic)
    a, b = [0.1, 0.5, 0.2, 0.9, 0.7], [3.0, 1.0, 2.0, 9.0, 5.0]
    assert statistic([math.exp(9 * x) for x in a], b) == statistic(a, b)
    assert statistic([-math.inf, *a], [0.0, *b]) == statistic([-7.0, *a], [0.0, *b])
    assert statistic(a, a) == pytest.approx(1)
    assert statistic(a, [-x for x in a]) == pytest.approx(-1)
    assert math.isnan(statistic(a, [2.0] * 5))
    with pytest.raises(ValueError, match="pairs"):
        statistic(a, b[:4])
    with pytest.raises(ValueError, match="NaN"):
        statistic(a, [math.nan, *b[1:]])


def test_an_interval_covers_what_the_sample_was_drawn_from() -> None:
    """Of 40 samples with a Spearman's ρ of 6/π·asin(r/2), about 95 % of the intervals hold it."""
    truth = 6 / math.pi * math.asin(0.6 / 2)
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(40):
        a, noise = rng.normal(size=(2, 80))
        low, high = interval(spearman, a.tolist(), (0.6 * a + 0.8 * noise).tolist(), resamples=100)
        held += low <= truth <= high
    assert 34 <= held <= 40


def test_intervals_at_their_ends() -> None:
    a = [float(i) for i in range(20)]
    assert interval(kendall, a, a, resamples=50) == pytest.approx((1, 1))
    assert all(map(math.isnan, interval(kendall, a, [1.0] * 20, resamples=5)))
    noisy = [x + 6 * math.sin(5 * x) for x in a]
    assert interval(spearman, a, noisy, seed=3, resamples=99) == interval(spearman, a, noisy, seed=3, resamples=99)
    low, high = interval(spearman, a, noisy)
    assert low < spearman(a, noisy) < high
