"""The model of short accuracies: it takes noise out, and what it cannot know it leaves."""

from __future__ import annotations

import numpy as np
from scipy.stats import spearmanr

from nas.believed import LEAST, believed
from nas.known_cost.domain import Parameter

PARAMETERS = [Parameter(f"layer{i}", ("a", "b", "c"), "layer") for i in range(6)]


def networks(n: int, seed: int) -> tuple[list[dict[str, str]], np.ndarray, np.ndarray]:
    """Rows, costs, and true accuracies that are a sum over layers."""
    rng = np.random.default_rng(seed)
    digits = rng.integers(3, size=(n, 6))
    worth = rng.normal(size=(6, 3)) * 0.01
    truth = 0.7 + worth[np.arange(6), digits].sum(1)
    rows = [{p.name: p.options[d] for p, d in zip(PARAMETERS, row, strict=True)} for row in digits]
    return rows, 1e6 * (1 + digits.sum(1)), truth


def test_noise_is_taken_out() -> None:
    gains = []
    for seed in range(4):
        rows, costs, truth = networks(48, seed)
        noisy = truth + np.random.default_rng(seed + 100).normal(size=48) * truth.std()
        mean, deviation = believed(PARAMETERS, rows, costs.tolist(), noisy.tolist())
        gains.append(spearmanr(mean, truth)[0] - spearmanr(noisy, truth)[0])
        assert (deviation > 0).all()
        assert (deviation < noisy.std()).all()
    assert np.mean(gains) > 0.05


def test_without_noise_accuracies_stay() -> None:
    rows, costs, truth = networks(60, 9)
    mean, _ = believed(PARAMETERS, rows, costs.tolist(), truth.tolist())
    assert np.abs(mean - truth).max() < 0.2 * truth.std()


def test_hopeless_networks_come_back_in_their_own_unit() -> None:
    rows, costs, truth = networks(60, 3)
    truth[:3] = 0.1
    mean, _ = believed(PARAMETERS, rows, costs.tolist(), truth.tolist())
    assert mean[3:].min() > 0.5


def test_few_or_equal_accuracies_are_left() -> None:
    rows, costs, truth = networks(LEAST - 1, 1)
    mean, deviation = believed(PARAMETERS, rows, costs.tolist(), truth.tolist())
    assert (mean == truth).all()
    assert not deviation.any()
    rows, costs, _ = networks(20, 1)
    mean, _ = believed(PARAMETERS, rows, costs.tolist(), [0.5] * 20)
    assert (mean == 0.5).all()
