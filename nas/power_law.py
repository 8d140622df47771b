"""A saturating power law of accuracy against cost, with intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

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
    law = _least_squares(flops, accuracy, reference)
    fitted = law(flops)
    residuals = accuracy - fitted
    spread = residuals * np.sqrt(len(accuracy) / max(1, len(accuracy) - 3))  # three numbers were fitted
    rng = np.random.default_rng(seed)
    drawn = (fitted + rng.choice(spread - spread.mean(), len(spread)) for _ in range(RESAMPLES))
    return Fitted(law, tuple(_least_squares(flops, values, reference) for values in drawn))


def _least_squares(flops: Array, accuracy: Array, reference: float) -> Law:
    """For each exponent the rest is linear: missing accuracy = floor + gap · x^(−exponent), both at least 0."""
    best: tuple[float, Law] | None = None
    missing = 1 - accuracy
    for exponent in EXPONENTS:
        columns = np.stack([np.ones_like(flops), (flops / reference) ** -exponent], axis=1)
        (floor, gap), error = nnls(columns, missing)
        if best is None or error < best[0]:
            best = error, Law(1 - float(floor), float(gap), float(exponent), reference)
    assert best is not None
    return best[1]
