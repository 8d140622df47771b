"""What an evaluation promises: expected improvement, and of hypervolume where one objective is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr

from nas.known_cost.encoder import Array


def expected_improvement(mean: Array, deviation: Array, level: Array | float) -> Array:
    """E[max(0, x − level)] of normal x."""
    z = (mean - level) / deviation
    return np.asarray(np.maximum(deviation * (z * ndtr(z) + np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)), 0))


def expected_hypervolume_improvement(
    mean: Array, deviation: Array, cost: Array, points: Sequence[tuple[float, float]], reference: tuple[float, float]
) -> Array:
    """Expected gain in area when candidates of exact `cost` have normal accuracies.

    `points` holds (accuracy, cost) pairs, `reference` the lowest accuracy and the highest cost. The front is a
    staircase over cost; a candidate gains on every step from its own cost rightwards, and what it gains there
    is the step's width times the expected improvement over the step's height.
    """
    worst, dearest = reference
    heights, lefts = [worst], [-np.inf]
    for accuracy, at in sorted(points, key=lambda pair: (pair[1], -pair[0])):
        if accuracy > heights[-1] and at < dearest:
            heights.append(accuracy)
            lefts.append(at)
    rights = np.array([*lefts[1:], dearest])
    widths = np.maximum(0, rights - np.maximum(cost[:, None], np.array(lefts)))
    gains = expected_improvement(mean[:, None], deviation[:, None], np.array(heights))
    return np.asarray((widths * gains).sum(1))
