"""What can be read on an axis or in a column: one record a metric, read by figures, tables and menus alike."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """A number of a network. `scale` divides it for axes, whose unit `unit` then is."""

    name: str
    label: str
    unit: str
    scale: float = 1.0
    about: str = ""

    @property
    def axis(self) -> str:
        """The title of an axis."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


COSTS = {
    metric.name: metric
    for metric in (
        Metric("flops", "FLOPs", "millions", 1e6, "as fvcore counts them: a multiply-add is one, batch norm two"),
        Metric(
            "macs", "MACs", "millions", 1e6, "multiply-adds of convolutions and linear layers, as papers print them"
        ),
        Metric("params", "Parameters", "millions", 1e6, "learned numbers"),
        Metric("activations", "Activations", "millions", 1e6, "elements that convolutions and linear layers write"),
        Metric("peak_activations", "Peak memory", "million elements", 1e6, "most elements alive at once"),
        Metric("latency_ms", "Latency", "ms", 1.0, "measured, for one image"),
    )
}


def percent(accuracy: float | None) -> str:
    """An accuracy as it is read aloud: 79.73 %."""
    return "–" if accuracy is None else f"{100 * accuracy:.2f} %"


def significant(number: float, digits: int = 5) -> float:
    """The number in so many digits: what a pixel can show, in a third of the bytes."""
    return float(f"{number:.{digits}g}")
