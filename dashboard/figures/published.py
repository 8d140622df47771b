"""Published networks as a backdrop: their exact cost, and the accuracy that was printed – on ImageNet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from dashboard.figures import GREY
from dashboard.metrics import COSTS, significant
from search_spaces import zoo

SYMBOLS = ("star", "diamond", "square", "triangle-up", "pentagon", "hexagon", "cross", "x", "star-diamond", "bowtie")


@dataclass(frozen=True)
class Family:
    """Networks of one paper, by ascending cost."""

    name: str
    names: tuple[str, ...]
    costs: tuple[float, ...]
    top1: tuple[float, ...]


@lru_cache(maxsize=8)
def data(metric: str) -> tuple[Family, ...]:
    """Every network of the zoo with a published top-1 accuracy, by family; none for a measured metric."""
    if metric == "latency_ms":
        return ()
    families: dict[str, list[tuple[float, str, float]]] = {}
    for name in zoo.names():
        network = zoo.find(name)
        if network.published.top1 is not None:
            cost = getattr(network.cost, metric)
            families.setdefault(family(name), []).append((cost, name, network.published.top1))
    return tuple(
        Family(name, tuple(n for _, n, _ in found), tuple(c for c, _, _ in found), tuple(t for _, _, t in found))
        for name, found in sorted((name, sorted(found)) for name, found in families.items())
    )


def family(name: str) -> str:
    """The family that a network's name says: mobilenet_v2_0.5_160 → MobileNetV2."""
    known = {
        "mobilenet_v1": "MobileNetV1", "mobilenet_v2": "MobileNetV2", "mobilenet_v3": "MobileNetV3",
        "efficientnet": "EfficientNet", "resnext": "ResNeXt", "resnet": "ResNet", "densenet": "DenseNet",
        "shufflenet": "ShuffleNet", "squeezenet": "SqueezeNet", "googlenet": "GoogLeNet", "mnasnet": "MnasNet",
        "wide_resnet": "Wide ResNet",
    }  # fmt: skip
    found = next((label for start, label in known.items() if name.startswith(start)), None)
    return found or name.split("_")[0].capitalize()


def traces(families: tuple[Family, ...], metric: str, limits: list[float] | None) -> list[dict[str, Any]]:
    """One quiet trace a family, on the axis at the right, with its own legend; those off `limits` are left out."""
    scale = COSTS[metric].scale
    low, high = (10.0**end for end in limits) if limits else (0.0, float("inf"))
    families = tuple(f for f in families if any(low <= cost / scale <= high for cost in f.costs))
    return [
        {
            "type": "scatter", "mode": "markers", "name": f.name, "yaxis": "y2", "legend": "legend2",
            "x": [significant(c / scale) for c in f.costs], "y": list(f.top1), "text": list(f.names),
            "marker": {"symbol": f"{SYMBOLS[i % len(SYMBOLS)]}-open", "size": 8, "color": GREY},
            "hovertemplate": "%{text}<br>%{y:.1f} % ImageNet top-1, as published<br>%{x:.4g} "
            + f"{COSTS[metric].unit} {COSTS[metric].label}<extra></extra>",
        }
        for i, f in enumerate(families)
    ]  # fmt: skip
