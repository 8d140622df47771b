"""A saturating power law of accuracy against cost, with intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
EXPONENTS = np.geomspace(0.02, 4.0, 160)
RESAMPLES = 400


@dataclass(frozen=True)
class Law:
    """accuracy = ceiling − gap · (flops / reference)^(−exponent); `gap` is what the reference lacks to the ceiling."""

    ceiling: float
    gap: float
    exponent: float
    reference: float

    def __call__(self, flops: float | Array) -> Array:
        relative = np.asarray(flops, dtype=float) / self.reference
        return self.ceiling - self.gap * relative**-self.exponent


@dataclass(frozen=True)
class Fitted:
    """The law of all measurements, and those of resampled ones, which say how sure it is."""

    law: Law
    resampled: tuple[Law, ...]

    def interval(self, flops: float | Array, level: float = 0.95) -> tuple[Array, Array]:
        """Bounds of the law at these costs."""
        curves = np.stack([law(flops) for law in self.resampled])
        low, high = np.quantile(curves, [(1 - level) / 2, (1 + level) / 2], axis=0)
        return low, high


def fit(flops: Array, accuracy: Array, reference: float, seed: int = 0) -> Fitted | None:
    """The law by least squares, with a ceiling of at most 1 and no fall with cost; None for fewer than 3 costs.

    Intervals are of a bootstrap that resamples the residuals of each measurement, 400 times.
    """
    if len(np.unique(flops)) < 3:
        return None
    (law,) = _least_squares(flops, accuracy[None], reference)
    fitted = law(flops)
    residuals = accuracy - fitted
    spread = residuals * np.sqrt(len(accuracy) / max(1, len(accuracy) - 3))  # three numbers were fitted
    drawn = np.random.default_rng(seed).choice(spread - spread.mean(), (RESAMPLES, len(spread)))
    return Fitted(law, tuple(_least_squares(flops, fitted + drawn, reference)))


def _least_squares(flops: Array, accuracies: Array, reference: float) -> list[Law]:
    """One law a row of (R, N) accuracies.

    For each exponent the rest is linear: missing accuracy = floor + gap · x^(−exponent), both at least 0; where
    the best line leaves that quarter, the better of its two edges is the best in it.
    """
    missing = 1 - accuracies
    best = np.full(len(missing), np.inf)
    numbers = np.zeros((3, len(missing)))  # floor, gap, exponent
    for exponent in EXPONENTS:
        powers = (flops / reference) ** -exponent
        centred = powers - powers.mean()
        slope = missing @ centred / (centred @ centred)
        line = missing.mean(1) - slope * powers.mean(), slope
        flat = missing.mean(1), np.zeros(len(missing))
        no_floor = np.zeros(len(missing)), np.maximum(0, missing @ powers / (powers @ powers))
        for floor, gap in (line, flat, no_floor):
            error = ((missing - floor[:, None] - gap[:, None] * powers) ** 2).sum(1)
            better = (error < best) & (floor >= 0) & (gap >= 0)
            best = np.where(better, error, best)
            numbers[:, better] = np.stack([floor, gap, np.full_like(gap, exponent)])[:, better]
    return [Law(1 - float(floor), float(gap), float(exponent), reference) for floor, gap, exponent in numbers.T]
