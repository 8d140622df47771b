"""How far a table's predictions are from networks that it never saw."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from nas.latency.predictor import Predictor
from nas.latency.table import Table, Whole
from search_spaces.arch import Arch

REPEATS = 5


@dataclass(frozen=True)
class Check:
    """Predicted against measured ms of unseen networks.

    spearman: of the two. median_error, largest_error: of |predicted / measured − 1|. bias: the median of
    predicted / measured. estimated: the share of predicted time that no entry vouches for. answer_us: of one
    prediction, as a search meets networks.
    """

    measured_ms: tuple[float, ...]
    predicted_ms: tuple[float, ...]
    estimated: float
    spearman: float
    median_error: float
    largest_error: float
    bias: float
    answer_us: float

    def __str__(self) -> str:
        low, high = min(self.measured_ms), max(self.measured_ms)
        return (
            f"{len(self.measured_ms)} unseen networks of {low:.3g} to {high:.3g} ms: Spearman {self.spearman:.3f}, "
            f"median error {self.median_error:.1%}, largest {self.largest_error:.1%}, predicted over measured "
            f"{self.bias:.3f} in the median; {self.estimated:.1%} estimated; answers in {self.answer_us:.0f} µs"
        )


def check(table: Table, networks: Sequence[Whole]) -> Check:
    """Hold the table against networks that were timed whole; at least three."""
    from scipy.stats import spearmanr

    predictor = Predictor(table)
    archs = [Arch.parse(network.arch) for network in networks]
    said = [predictor(a, n.in_channels, n.num_classes) for a, n in zip(archs, networks, strict=True)]
    measured, predicted = tuple(n.ms for n in networks), tuple(p.ms for p in said)
    errors = [abs(p / m - 1) for p, m in zip(predicted, measured, strict=True)]
    return Check(
        measured,
        predicted,
        estimated=sum(p.ms * p.estimated for p in said) / sum(predicted),
        spearman=float(spearmanr(predicted, measured).statistic),
        median_error=median(errors),
        largest_error=max(errors),
        bias=median(p / m for p, m in zip(predicted, measured, strict=True)),
        answer_us=_answer_us(predictor, archs, networks[0]),
    )


def _answer_us(predictor: Predictor, archs: Sequence[Arch], deployed: Whole) -> float:
    """Microseconds of a prediction, stages having been met before."""
    from search_spaces.latency import latency_ns

    begin = time.perf_counter()
    for arch in [*archs] * REPEATS:
        latency_ns(predictor, arch, deployed.in_channels, deployed.num_classes)
    return 1e6 * (time.perf_counter() - begin) / (REPEATS * len(archs))
